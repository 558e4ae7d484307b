//! The first line of a script, read as the kernel and env(1) read it.

/// What the kernel looks at of a file (BINPRM_BUF_SIZE).
pub(super) const HEAD: usize = 256;

/// How many `#!` lines the kernel follows before it gives up with ELOOP.
pub(super) const MAX_DEPTH: usize = 5;

/// A `#!` line (execve(2), fs/binfmt_script.c).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shebang {
    /// The interpreter as written: relative ones start in the current directory.
    pub interpreter: Vec<u8>,
    /// All the rest of the line, as one argument.
    pub argument: Option<Vec<u8>>,
}

impl Shebang {
    /// Reads the beginning of a file; `None` where the kernel would not start it as a script.
    pub fn parse(head: &[u8]) -> Option<Self> {
        let mut buffer = [0; HEAD];
        let length = head.len().min(HEAD);
        buffer[..length].copy_from_slice(&head[..length]);
        let line = buffer.strip_prefix(b"#!")?;
        let line = match line.iter().position(|byte| *byte == b'\n') {
            Some(end) => &line[..end],
            None => {
                // The kernel starts no interpreter whose name it may not have seen to its end.
                let name = line.iter().position(|byte| !is_blank(*byte))?;
                line[name..].iter().position(|byte| ends_name(*byte))?;
                &line[..line.len() - 1]
            }
        };
        let line = trim_blanks(line);
        let end = line
            .iter()
            .position(|byte| ends_name(*byte))
            .unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        if name.is_empty() {
            return None;
        }
        let argument = match rest.first() {
            Some(blank) if is_blank(*blank) => until_nul(trim_blanks(rest)),
            _ => b"",
        };
        Some(Self {
            interpreter: name.to_vec(),
            argument: (!argument.is_empty()).then(|| argument.to_vec()),
        })
    }

    /// What env(1) would run, when the interpreter is env.
    pub fn env_command(&self) -> Option<EnvCommand> {
        let name = self.interpreter.rsplit(|byte| *byte == b'/').next()?;
        if name != b"env" {
            return None;
        }
        EnvCommand::parse(self.argument.as_deref()?)
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn ends_name(byte: u8) -> bool {
    is_blank(byte) || byte == 0
}

fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The program that env(1) is asked to run, and what it changes before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EnvCommand {
    /// A name to be looked up in PATH, or a path.
    pub name: Vec<u8>,
    /// `-i`: the environment begins empty.
    pub clear: bool,
    /// `-u NAME`.
    pub unset: Vec<Vec<u8>>,
    /// `NAME=value`, in order.
    pub set: Vec<(Vec<u8>, Vec<u8>)>,
    /// `-C DIR`.
    pub directory: Option<Vec<u8>>,
}

impl EnvCommand {
    /// Reads the single argument of a `#!` line. Without `-S` it is one word, spaces and all.
    fn parse(argument: &[u8]) -> Option<Self> {
        let mut words = vec![argument.to_vec()].into_iter();
        let mut command = Self::default();
        let mut pending = Vec::new();
        let mut options_over = false;
        while let Some(word) = pending.pop().or_else(|| words.next()) {
            if !options_over && word.starts_with(b"-") {
                let mut next = || pending.pop();
                match command.option(&word, &mut next)? {
                    Step::Option => {}
                    Step::OptionsOver => options_over = true,
                    Step::Split(text) => pending.extend(split_words(&text).into_iter().rev()),
                }
                continue;
            }
            options_over = true;
            match word.iter().position(|byte| *byte == b'=') {
                Some(at) => command
                    .set
                    .push((word[..at].to_vec(), word[at + 1..].to_vec())),
                None => {
                    command.name = word;
                    return Some(command);
                }
            }
        }
        None
    }

    fn option(&mut self, word: &[u8], next: &mut dyn FnMut() -> Option<Vec<u8>>) -> Option<Step> {
        if word == b"--" {
            return Some(Step::OptionsOver);
        }
        if word == b"-" {
            self.clear = true;
            return Some(Step::Option);
        }
        if let Some(long) = word.strip_prefix(b"--") {
            let (name, value) = match long.iter().position(|byte| *byte == b'=') {
                Some(at) => (&long[..at], Some(long[at + 1..].to_vec())),
                None => (long, None),
            };
            match name {
                b"split-string" => return value.or_else(next).map(Step::Split),
                b"ignore-environment" => self.clear = true,
                b"unset" => self.unset.push(value.or_else(next)?),
                b"chdir" => self.directory = Some(value.or_else(next)?),
                b"argv0" => drop(value.or_else(next)?),
                _ => {}
            }
            return Some(Step::Option);
        }
        let mut letters = word.get(1..)?;
        while let [letter, rest @ ..] = letters {
            letters = rest;
            let mut value = || {
                let attached = std::mem::take(&mut letters);
                if attached.is_empty() {
                    next()
                } else {
                    Some(attached.to_vec())
                }
            };
            match letter {
                b'S' => return value().map(Step::Split),
                b'i' => self.clear = true,
                b'u' => self.unset.push(value()?),
                b'C' => self.directory = Some(value()?),
                b'a' => drop(value()?),
                _ => {}
            }
        }
        Some(Step::Option)
    }
}

enum Step {
    Option,
    OptionsOver,
    Split(Vec<u8>),
}

/// Splits as `env -S` does: blanks part words, quotes and backslashes hold them together.
/// Variables (`${NAME}`) are left as they stand.
fn split_words(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\\', _) => match (bytes.next(), quote) {
                (Some(b'c'), _) | (None, _) => break,
                (Some(b'_'), None) => words.extend(word.take()),
                (Some(b'_'), Some(b'"')) => word.get_or_insert_default().push(b' '),
                (Some(other), Some(b'\'')) if other != b'\'' && other != b'\\' => {
                    word.get_or_insert_default().extend([b'\\', other]);
                }
                (Some(b't'), _) => word.get_or_insert_default().push(b'\t'),
                (Some(b'n'), _) => word.get_or_insert_default().push(b'\n'),
                (Some(other), _) => word.get_or_insert_default().push(other),
            },
            (b'"' | b'\'', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (_, Some(open)) if open == byte => quote = None,
            (b'#', None) if word.is_none() => break,
            (byte, None) if byte.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shebang(head: impl AsRef<[u8]>) -> Option<(String, Option<String>)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Shebang::parse(head.as_ref()).map(|line| (text(line.interpreter), line.argument.map(text)))
    }

    fn parsed(name: &str, argument: Option<&str>) -> Option<(String, Option<String>)> {
        Some((name.to_owned(), argument.map(str::to_owned)))
    }

    fn env(argument: &str) -> Option<EnvCommand> {
        Shebang::parse(format!("#!/usr/bin/env {argument}\n").as_bytes())?.env_command()
    }

    fn runs(argument: &str) -> String {
        String::from_utf8(env(argument).expect("a command").name).expect("text")
    }

    #[test]
    fn blanks_are_trimmed_and_the_rest_is_one_argument() {
        assert_eq!(shebang("#!/bin/sh\n"), parsed("/bin/sh", None));
        assert_eq!(shebang("#! \t/bin/sh \t\nx"), parsed("/bin/sh", None));
        assert_eq!(
            shebang("#!/bin/sh -e  -u \n"),
            parsed("/bin/sh", Some("-e  -u"))
        );
        assert_eq!(shebang("#!/bin/sh"), parsed("/bin/sh", None));
        assert_eq!(shebang("#!bin/x"), parsed("bin/x", None));
        assert_eq!(shebang("#!/bin/sh\r\n"), parsed("/bin/sh\r", None));
    }

    #[test]
    fn what_the_kernel_refuses_is_no_script() {
        for head in [
            "",
            "#",
            "#!",
            "#!\n",
            "#!  \n/bin/sh",
            " #!/bin/sh",
            "\x7fELF",
        ] {
            assert_eq!(shebang(head), None, "{head:?}");
        }
        assert_eq!(shebang(format!("#!/{}\n", "a".repeat(260))), None);
    }

    #[test]
    fn an_interpreter_ends_within_255_bytes_and_a_long_argument_is_cut() {
        let longest = format!("/{}", "a".repeat(252));
        assert_eq!(shebang(format!("#!{longest}\n")), parsed(&longest, None));
        assert_eq!(shebang(format!("#!{longest}a\n")), None);
        let cut = shebang(format!("#!/bin/sh {}\n", "b".repeat(300))).expect("runs");
        assert_eq!(cut.1.map(|argument| argument.len()), Some(255 - 10));
    }

    #[test]
    fn env_without_s_takes_the_line_as_one_name() {
        assert_eq!(runs("python3"), "python3");
        assert_eq!(runs("python3 -u"), "python3 -u");
        assert_eq!(
            Shebang::parse(b"#!/bin/sh x\n").and_then(|line| line.env_command()),
            None
        );
        assert_eq!(env(""), None);
    }

    #[test]
    fn env_options_and_assignments_come_before_the_name() {
        assert_eq!(runs("-S python3 -u -W x"), "python3");
        assert_eq!(runs("-Spython3 -u"), "python3");
        assert_eq!(runs("-vS node --flag"), "node");
        assert_eq!(runs("--split-string=node --flag"), "node");
        assert_eq!(runs("-S -u HOME -C /x --unset=A perl -w"), "perl");
        assert_eq!(runs("-S \"my prog\" a"), "my prog");
        assert_eq!(runs("-S -- ruby"), "ruby");
        let command = env("-S -i PATH=/opt/bin A=b prog").expect("a command");
        assert!(command.clear);
        assert_eq!(command.set[0], (b"PATH".to_vec(), b"/opt/bin".to_vec()));
        assert_eq!(command.name, b"prog");
    }
}
