//! Users as an engine finds them: the USER of an image, looked up in its passwd(5) and group(5).
//! Pure.

/// The largest ID that engines take (runc, `libcontainer/user`).
const MAX_ID: u32 = i32::MAX as u32;

/// Whom USER means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// User ID.
    pub uid: u32,
    /// Group ID.
    pub gid: u32,
    /// Further groups, by group(5). None where USER names a group.
    pub groups: Vec<u32>,
    /// Home directory; `/` for who is in no passwd(5).
    pub home: Vec<u8>,
}

/// Why USER means nobody.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AccountError {
    /// A name that is in no line.
    #[error("no user '{0}' in /etc/passwd")]
    NoUser(String),
    /// A name that is in no line.
    #[error("no group '{0}' in /etc/group")]
    NoGroup(String),
    /// A number that no engine takes.
    #[error("{0} is no ID: engines take 0 to 2147483647")]
    Range(String),
}

/// Looks up `user`, `uid`, `user:group` or any mix of them. The rules are those of the engines
/// (runc, `user.GetExecUser`): a number is an ID, known or not, and of several lines the first
/// counts.
///
/// # Errors
/// [`AccountError`].
pub fn find(user: &str, passwd: &[u8], group: &[u8]) -> Result<Account, AccountError> {
    let mut words = user.split(':');
    let (user, named_group) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let user = if user.is_empty() { "0" } else { user };
    let id = number(user)?;
    let known = lines(passwd).find_map(|fields| {
        let uid = parse(fields.get(2)?)?;
        let is_it = id.map_or(fields[0] == user.as_bytes(), |id| id == uid);
        is_it.then(|| (fields[0].to_vec(), uid, fields))
    });
    let (name, uid, mut gid, home) = match (known, id) {
        (Some((name, uid, fields)), _) => {
            let gid = fields.get(3).and_then(parse).unwrap_or(0);
            let home = fields.get(5).map_or(&b""[..], |home| home).to_vec();
            (Some(name), uid, gid, home)
        }
        (None, Some(id)) => (None, id, 0, b"/".to_vec()),
        (None, None) => return Err(AccountError::NoUser(user.to_owned())),
    };
    let mut groups = Vec::new();
    if named_group.is_empty() {
        groups = name.map_or_else(Vec::new, |name| groups_of(&name, group));
    } else {
        gid = group_id(named_group, group)?;
    }
    let home = if home.is_empty() { b"/".to_vec() } else { home };
    Ok(Account {
        uid,
        gid,
        groups,
        home,
    })
}

fn group_id(named: &str, group: &[u8]) -> Result<u32, AccountError> {
    if let Some(id) = number(named)? {
        return Ok(id);
    }
    let id = lines(group).find_map(|fields| {
        let id = parse(fields.get(2)?)?;
        (fields[0] == named.as_bytes()).then_some(id)
    });
    id.ok_or_else(|| AccountError::NoGroup(named.to_owned()))
}

fn groups_of(name: &[u8], group: &[u8]) -> Vec<u32> {
    let member = |fields: Vec<&[u8]>| {
        let id = parse(fields.get(2)?)?;
        let mut members = fields.get(3)?.split(|byte| *byte == b',');
        members.any(|member| member == name).then_some(id)
    };
    lines(group).filter_map(member).collect()
}

/// `None` for a name.
fn number(word: &str) -> Result<Option<u32>, AccountError> {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let id = word.parse().ok().filter(|id| *id <= MAX_ID);
    id.map(Some)
        .ok_or_else(|| AccountError::Range(word.to_owned()))
}

fn parse(field: &&[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Lines with a name, in fields.
fn lines(text: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines
        .map(|line| line.split(|byte| *byte == b':').collect::<Vec<_>>())
        .filter(|fields| fields.first().is_some_and(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\nbroken:x:y:1::/b:\n\
        app:x:999:998:An app:/srv/app:/bin/sh\napp:x:5:5::/other:\n1000:x:7:7::/seven:\n\
        homeless:x:8:8";
    const GROUP: &[u8] = b"root:x:0:root\nwww:x:33:app,other\nadm:x:4:other\nlog:x:44:app\n";

    fn found(user: &str) -> Result<Account, AccountError> {
        find(user, PASSWD, GROUP)
    }

    fn account(uid: u32, gid: u32, groups: &[u32], home: &str) -> Result<Account, AccountError> {
        Ok(Account {
            uid,
            gid,
            groups: groups.to_vec(),
            home: home.into(),
        })
    }

    #[test]
    fn a_name_has_its_line_and_its_groups() {
        assert_eq!(found("app"), account(999, 998, &[33, 44], "/srv/app"));
        assert_eq!(found("999"), account(999, 998, &[33, 44], "/srv/app"));
        assert_eq!(found(""), account(0, 0, &[0], "/root"));
        assert_eq!(found("homeless"), account(8, 8, &[], "/"));
    }

    #[test]
    fn a_number_is_an_id_and_need_not_be_known() {
        assert_eq!(found("1000"), account(1000, 0, &[], "/"));
        assert_eq!(found("1000:50"), account(1000, 50, &[], "/"));
    }

    #[test]
    fn a_group_that_is_named_is_the_only_one() {
        assert_eq!(found("app:www"), account(999, 33, &[], "/srv/app"));
        assert_eq!(found("app:"), account(999, 998, &[33, 44], "/srv/app"));
        assert_eq!(found(":www"), account(0, 33, &[], "/root"));
    }

    #[test]
    fn who_is_not_there_is_named() {
        let no_user = |name: &str| Err(AccountError::NoUser(name.to_owned()));
        assert_eq!(found("web"), no_user("web"));
        assert_eq!(found("broken"), no_user("broken"));
        let no_group = AccountError::NoGroup("web".to_owned());
        assert_eq!(found("app:web"), Err(no_group));
        let range = |word: &str| Err(AccountError::Range(word.to_owned()));
        assert_eq!(found("-1"), range("-1"));
        assert_eq!(found("1:4294967295"), range("4294967295"));
        assert_eq!(find("app", b"", b""), no_user("app"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(
            user in "\\PC{0,12}",
            passwd in proptest::collection::vec(0u8.., 0..64),
            group in proptest::collection::vec(0u8.., 0..64),
        ) {
            let _ = find(&user, &passwd, &group);
        }
    }
}
