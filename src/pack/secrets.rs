//! Which variables look like secrets, or belong to the runtime and not to the image.

/// Words that make a name one of a secret wherever they stand in it.
const INSIDE: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "CREDENTIAL",
    "PRIVATE",
];
/// Words that do so only on their own, or at the end of a longer word (`GITHUBTOKEN`).
const ENDING: &[&str] = &["TOKEN", "TOKENS", "APIKEY", "ACCESSKEY", "AUTHKEY"];
/// Words that do so only on their own: `API_KEY`, not `KEYMAP` or `MONKEY`.
const ALONE: &[&str] = &["PASS", "PWD", "KEY", "KEYS", "COOKIE", "SALT", "JWT"];
/// Words that begin with AUTH and mean something else.
const NOT_AUTH: &[&str] = &["AUTHOR", "AUTHORS", "AUTHORITY", "AUTHORED"];
/// `PASSWORD_FILE` says where the secret is, not what it is.
const PLACES: &[&str] = &["FILE", "PATH", "DIR", "DIRECTORY"];

/// Whether the value of a variable of this name is probably secret.
pub fn looks_like_secret(name: &[u8]) -> bool {
    // The working directories of shells.
    if name == b"PWD" || name == b"OLDPWD" {
        return false;
    }
    let words = words(name);
    if words
        .last()
        .is_some_and(|last| PLACES.contains(&last.as_str()))
    {
        return false;
    }
    let joined = words.join("_");
    INSIDE.iter().any(|secret| joined.contains(secret))
        || words.iter().any(|word| {
            ENDING.iter().any(|secret| word.ends_with(secret))
                || ALONE.contains(&word.as_str())
                || (word.starts_with("AUTH") && !NOT_AUTH.contains(&word.as_str()))
        })
}

/// Whether a value holds a secret whatever its name: a private key, or a URL with a password
/// (`scheme://user:password@host`).
pub fn holds_secret(value: &[u8]) -> bool {
    let has_key = value
        .windows(b"PRIVATE KEY-----".len())
        .any(|window| window == b"PRIVATE KEY-----");
    has_key || has_password_in_url(value)
}

fn has_password_in_url(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(at) = rest.windows(3).position(|window| window == b"://") {
        rest = &rest[at + 3..];
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?' | b'#' | b' ' | b'"' | b'\''))
            .unwrap_or(rest.len());
        // A password may itself hold `@`.
        if let Some(at) = rest[..end].iter().rposition(|byte| *byte == b'@') {
            let mut user = rest[..at].splitn(2, |byte| *byte == b':');
            if user.nth(1).is_some_and(|password| !password.is_empty()) {
                return true;
            }
        }
    }
    false
}

/// Variables that the container runtime, the shell in front of us or we ourselves set: in the
/// image they would be wrong or stale.
pub fn is_of_the_runtime(name: &[u8], value: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"HOSTNAME",
        // Every runtime sets it from /etc/passwd for the user it starts.
        b"HOME",
        b"PWD",
        b"OLDPWD",
        b"SHLVL",
        b"_",
        b"NOTIFY_SOCKET",
        b"LISTEN_FDS",
        b"LISTEN_PID",
    ];
    const ENGINES: &[&[u8]] = &[
        b"podman",
        b"docker",
        b"oci",
        b"lxc",
        b"systemd-nspawn",
        b"crio",
    ];
    NAMES.contains(&name)
        || name.starts_with(b"MICROPACKER_")
        || name.starts_with(b"KUBERNETES_")
        || (name == b"container" && ENGINES.contains(&value))
        // What `docker run -t` sets; an image that sets it means something else.
        || (name == b"TERM" && value == b"xterm")
}

/// The words of a name in capitals: `dbPassword` and `DB_PASSWORD` alike.
fn words(name: &[u8]) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for byte in name {
        let starts = byte.is_ascii_uppercase() && after_lower;
        if starts || !byte.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (byte.is_ascii_alphanumeric(), words.last_mut()) {
            word.push(char::from(byte.to_ascii_uppercase()));
        }
        after_lower = byte.is_ascii_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_recognised() {
        for name in [
            "PASSWORD",
            "MYSQL_ROOT_PASSWORD",
            "PGPASSWORD",
            "DB_PASS",
            "REDIS_PASSWD",
            "MYSQL_PWD",
            "GITHUB_TOKEN",
            "GITHUBTOKEN",
            "HF_TOKENS",
            "CLIENT_SECRET",
            "SECRETS",
            "API_KEY",
            "APIKEY",
            "AWS_SECRET_ACCESS_KEY",
            "KEY",
            "SSH_KEYS",
            "GOOGLE_CREDENTIALS",
            "PRIVATE_DATA",
            "AUTH",
            "BASIC_AUTH",
            "AUTHORIZATION",
            "TS_AUTHKEY",
            "dbPassword",
            "apiKey",
            "db.pass",
            "RABBITMQ_ERLANG_COOKIE",
            "AUTH_SALT",
            "SSH_PRIVATE_KEY",
        ] {
            assert!(looks_like_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_of_other_things_are_not() {
        for name in [
            "PATH",
            "KEYBOARD",
            "KEYMAP",
            "MONKEY",
            "COMPASS",
            "PASSENGER_PORT",
            "AUTHOR",
            "AUTHORS",
            "XAUTHORITY",
            "TOKENIZERS_PARALLELISM",
            "PWD",
            "OLDPWD",
            "LANG",
            "",
            "POSTGRES_PASSWORD_FILE",
            "TLS_KEY_PATH",
            "BYPASS",
            "KEYSTONE_URL",
            "_",
            "\u{e9}",
        ] {
            assert!(!looks_like_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn values_give_secrets_away_too() {
        for value in [
            "postgres://app:pw@db/app",
            "url=redis://:pw@h:6379",
            "http://plain/ amqp://u:p@q@h",
            "-----BEGIN RSA PRIVATE KEY-----\nx",
        ] {
            assert!(holds_secret(value.as_bytes()), "{value}");
        }
        for value in [
            "http://host:80/a@b:c",
            "ssh://git@host/x",
            "ftp://user:@host",
            "a:b@c",
            "://",
            "",
        ] {
            assert!(!holds_secret(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn what_the_runtime_sets_is_not_the_images() {
        assert!(is_of_the_runtime(b"HOSTNAME", b"x"));
        assert!(is_of_the_runtime(b"container", b"podman"));
        assert!(is_of_the_runtime(b"TERM", b"xterm"));
        assert!(!is_of_the_runtime(b"TERM", b"dumb"));
        assert!(!is_of_the_runtime(b"container", b"blue"));
    }
}
