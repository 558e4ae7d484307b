//! Dynamic string tokens: `$ORIGIN`, `$LIB` and `$PLATFORM` (ld.so(8)).

/// What the tokens stand for in one object.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// The directory of the object.
    pub origin: &'a [u8],
    /// `lib`, `lib64` or `lib/x86_64-linux-gnu`: how the loader was built.
    pub lib: &'a [u8],
    /// AT_PLATFORM of getauxval(3); `None` where the kernel gives none.
    pub platform: Option<&'a [u8]>,
}

/// Replaces the tokens as glibc does: `$NAME` up to the last character of a name, or `${NAME}`;
/// an unknown token stays. `None` when a token is known but has no value: glibc then drops the
/// whole path.
pub fn expand(input: &[u8], tokens: &Tokens<'_>) -> Option<Vec<u8>> {
    let mut output = Vec::with_capacity(input.len());
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'$' {
            output.push(*byte);
            continue;
        }
        match token(after) {
            Some((b"ORIGIN", length)) => {
                output.extend_from_slice(tokens.origin);
                rest = &after[length..];
            }
            Some((b"LIB", length)) => {
                output.extend_from_slice(tokens.lib);
                rest = &after[length..];
            }
            Some((b"PLATFORM", length)) => {
                output.extend_from_slice(tokens.platform?);
                rest = &after[length..];
            }
            _ => output.push(b'$'),
        }
    }
    Some(output)
}

/// The name after a `$` and how many bytes it takes, braces counted.
fn token(after: &[u8]) -> Option<(&[u8], usize)> {
    if let Some(inside) = after.strip_prefix(b"{") {
        let end = inside.iter().position(|byte| *byte == b'}')?;
        return Some((&inside[..end], end + 2));
    }
    let end = after
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        .unwrap_or(after.len());
    Some((&after[..end], end))
}

/// Replaces `$ORIGIN` and `${ORIGIN}` as musl does: nothing need follow the name, and a path
/// with any other `$` is dropped as a whole (`None`).
pub fn expand_musl(input: &[u8], origin: &[u8]) -> Option<Vec<u8>> {
    let mut output = Vec::with_capacity(input.len());
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'$' {
            output.push(*byte);
            continue;
        }
        rest = after
            .strip_prefix(b"ORIGIN")
            .or_else(|| after.strip_prefix(b"{ORIGIN}"))?;
        output.extend_from_slice(origin);
    }
    Some(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKENS: Tokens<'_> = Tokens {
        origin: b"/opt/app",
        lib: b"lib64",
        platform: None,
    };

    fn expanded(input: &str) -> Option<String> {
        expand(input.as_bytes(), &TOKENS).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn tokens_are_replaced_with_and_without_braces() {
        assert_eq!(
            expanded("$ORIGIN/../$LIB/x"),
            Some("/opt/app/../lib64/x".into())
        );
        assert_eq!(expanded("${ORIGIN}a${LIB}"), Some("/opt/appalib64".into()));
    }

    #[test]
    fn a_longer_name_is_another_token_and_stays() {
        assert_eq!(expanded("$ORIGINAL/$LIB2"), Some("$ORIGINAL/$LIB2".into()));
        assert_eq!(expanded("$LIB_x${LIB"), Some("$LIB_x${LIB".into()));
        assert_eq!(expanded("a$"), Some("a$".into()));
    }

    #[test]
    fn a_token_without_a_value_drops_the_path() {
        assert_eq!(expanded("/x/$PLATFORM"), None);
    }

    #[test]
    fn musl_knows_only_origin_and_drops_a_path_with_another_token() {
        assert_eq!(
            expand_musl(b"$ORIGIN/lib:${ORIGIN}x", b"/o"),
            Some(b"/o/lib:/ox".to_vec())
        );
        assert_eq!(expand_musl(b"$ORIGIN/$LIB", b"/o"), None);
    }

    proptest! {
        #[test]
        fn without_a_dollar_nothing_changes(input in "[^$]{0,40}") {
            prop_assert_eq!(expand(input.as_bytes(), &TOKENS), Some(input.as_bytes().to_vec()));
            prop_assert_eq!(expand_musl(input.as_bytes(), b"/o"), Some(input.into_bytes()));
        }

        #[test]
        fn any_bytes_are_expanded_without_a_panic(
            input in proptest::collection::vec(prop_oneof![Just(b'$'), Just(b'{'), Just(b'}'), any::<u8>()], 0..40)
        ) {
            let _ = expand(&input, &TOKENS);
            let _ = expand_musl(&input, b"/o");
        }
    }
}
