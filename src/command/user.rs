//! Whom the command runs as: who the image starts as, even where micropacker is root.

use super::Failure;
use super::image::ImageWish;
use super::start::{Startable, environment};
use crate::accounts::{Account, find};
use crate::byte_string::ByteString;
use crate::exit;
use crate::journal::Shape;
use crate::pack::ImageConfig;
use crate::recording::Context;
use crate::tracer::launch::{Identity, Obstacle};
use anyhow::Result;
use nix::unistd::{getegid, geteuid, getgroups};
use std::fs;
use std::path::Path;

/// Another user than ours.
#[derive(Clone, Debug)]
pub struct User {
    /// As it was asked for.
    pub name: String,
    /// Its IDs.
    pub identity: Identity,
    /// The environment that the command has as this user.
    pub env: Vec<Vec<u8>>,
}

/// passwd(5) and group(5), empty where there are none.
struct Tables {
    passwd: Vec<u8>,
    group: Vec<u8>,
}

impl Tables {
    fn read(root: &Path) -> Self {
        let read = |name: &str| fs::read(root.join(name)).unwrap_or_default();
        Self {
            passwd: read("etc/passwd"),
            group: read("etc/group"),
        }
    }
}

impl User {
    /// Whom the command is to run as where that is not us: `wished`, else USER of the image.
    ///
    /// # Errors
    /// When there is no such user, or who was asked for by name of the option cannot be had. Where
    /// the image's cannot be had that is a warning.
    pub fn settle(wished: Option<&str>, image: &ImageWish) -> Result<Option<Self>> {
        let implied = config_of(image).user;
        let Some(name) = wished.map(str::to_owned).or(implied) else {
            return Ok(None);
        };
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let may = Identity::can_be_taken_on();
        if !may && wished.is_none() && uid != 0 {
            // The container was started as somebody else, as `docker run --user` does: that
            // overrides the image's, known or not.
            return Ok(None);
        }
        let tables = Tables::read(Path::new("/"));
        let account = find(&name, &tables.passwd, &tables.group).map_err(|error| {
            let message = format!("cannot run the command as user '{name}': {error}");
            Failure::new(exit::CANNOT_RUN, message)
        })?;
        if (account.uid, account.gid) == (uid, gid) {
            return Ok(None);
        }
        if !may {
            let told = format!(
                "micropacker may not become user '{name}': start the container with --user 0 and \
                 the capabilities SETUID and SETGID (--cap-add)"
            );
            if wished.is_some() {
                return Err(Failure::new(exit::CANNOT_RUN, told).into());
            }
            tracing::warn!(
                "the image starts as '{name}', and the command runs as {uid}:{gid} here: {told}; \
                 --user {uid}:{gid} accepts it"
            );
            return Ok(None);
        }
        let own = find(&uid.to_string(), &tables.passwd, &tables.group).ok();
        let env = at_home(environment(), &account, own.as_ref(), image);
        Ok(Some(Self {
            identity: Identity {
                uid: account.uid,
                gid: account.gid,
                groups: groups(&account, own.as_ref()),
            },
            name,
            env,
        }))
    }

    /// Prepares what is started, and what is recorded of it.
    ///
    /// # Errors
    /// When this user cannot run it.
    pub fn prepare(&self, startable: &mut Startable, context: &mut Context) -> Result<()> {
        let Self { name, identity, .. } = self;
        let why = match identity.obstacle(startable.file()) {
            None => None,
            Some(Obstacle::Ids) => Some(format!(
                "cannot run the command as user '{name}': this container may not have the user \
                 ID {} or the group ID {}; --user 0 runs it as root",
                identity.uid, identity.gid
            )),
            Some(Obstacle::File) => Some(format!(
                "cannot run {}: user '{name}' may not execute it; --user 0 runs it as root",
                startable.file().to_string_lossy()
            )),
        };
        if let Some(why) = why {
            return Err(Failure::new(exit::CANNOT_RUN, why).into());
        }
        identity.own_streams();
        startable.set_user(self)?;
        context.env.clone_from(&self.env);
        (context.uid, context.gid) = (identity.uid, identity.gid);
        Ok(())
    }
}

/// The image's configuration as far as it is told.
fn config_of(image: &ImageWish) -> ImageConfig {
    let mut config = image.original.clone().unwrap_or_default();
    // It was tried when the command line was read.
    let _ = image.apply(&mut config);
    config
}

/// HOME as the engine would have set it: from passwd(5), where nobody has set another one.
fn at_home(
    mut env: Vec<Vec<u8>>,
    account: &Account,
    own: Option<&Account>,
    image: &ImageWish,
) -> Vec<Vec<u8>> {
    const HOME: &[u8] = b"HOME=";
    let named = config_of(image).env;
    let is_home = |variable: &Vec<u8>| variable.starts_with(HOME);
    let current = env.iter().find(|variable| is_home(variable));
    let engines = current.is_none_or(|home| {
        let own = own.map_or(&b"/"[..], |own| &own.home);
        home.strip_prefix(HOME)
            .is_some_and(|home| home.is_empty() || home == own)
    });
    if engines && !named.iter().any(is_home) {
        env.retain(|variable| !is_home(variable));
        env.push([HOME, &account.home].concat());
    }
    env
}

/// Engines give a user its group, the groups of group(5), and those that the container was given
/// (`--group-add`, `fsGroup`): of ours, what we would not have otherwise.
fn groups(account: &Account, own: Option<&Account>) -> Vec<u32> {
    let mut groups = vec![account.gid];
    groups.extend(&account.groups);
    let ours = getgroups().unwrap_or_default().into_iter();
    let our_own = own.map_or_else(Vec::new, |own| [&own.groups[..], &[own.gid]].concat());
    let given = ours
        .map(nix::unistd::Gid::as_raw)
        .filter(|gid| !our_own.contains(gid) && *gid != getegid().as_raw());
    groups.extend(given);
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Has the micro image hold what of passwd(5) and group(5) an engine needs to find in it who the
/// original image starts as, used or not.
pub fn include_tables(shape: &mut Shape, image: &ImageWish, root: &Path) {
    let Some(user) = config_of(image).user else {
        return;
    };
    for table in needed_of(&user, &Tables::read(root)) {
        tracing::debug!("{table} is taken: an engine looks up user '{user}' of the image there");
        let table = ByteString(table.as_bytes().to_vec());
        if !shape.include.contains(&table) {
            shape.include.push(table);
        }
    }
}

fn needed_of(user: &str, tables: &Tables) -> Vec<&'static str> {
    let Tables { passwd, group } = tables;
    let Ok(whole) = find(user, passwd, group) else {
        return Vec::new();
    };
    let is_enough = |passwd: &[u8], group: &[u8]| find(user, passwd, group).as_ref() == Ok(&whole);
    if is_enough(b"", b"") {
        Vec::new()
    } else if is_enough(passwd, b"") {
        vec!["/etc/passwd"]
    } else if is_enough(b"", group) {
        vec!["/etc/group"]
    } else {
        vec!["/etc/passwd", "/etc/group"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(uid: u32, groups: &[u32], home: &str) -> Account {
        Account {
            uid,
            gid: uid,
            groups: groups.to_vec(),
            home: home.into(),
        }
    }

    fn wish(env: &str) -> ImageWish {
        let text = format!(r#"{{"config":{{"User":"app","Env":[{env}]}}}}"#);
        ImageWish::of(Some(text.into_bytes()), Vec::new(), "").expect("a configuration")
    }

    fn home(env: &[&str], image: &ImageWish) -> Vec<String> {
        let env = env.iter().map(|variable| variable.as_bytes().to_vec());
        let (app, root) = (account(999, &[], "/srv/app"), account(0, &[], "/root"));
        let env = at_home(env.collect(), &app, Some(&root), image);
        let text = env
            .into_iter()
            .map(|variable| String::from_utf8(variable).expect("text"));
        text.collect()
    }

    #[test]
    fn home_is_what_the_engine_would_have_set_and_never_what_somebody_chose() {
        assert_eq!(
            home(&["HOME=/root", "A=1"], &wish("")),
            ["A=1", "HOME=/srv/app"]
        );
        assert_eq!(home(&["HOME="], &wish("")), ["HOME=/srv/app"]);
        assert_eq!(home(&[], &wish("")), ["HOME=/srv/app"]);
        assert_eq!(home(&["HOME=/chosen"], &wish("")), ["HOME=/chosen"]);
        let named = wish(r#""HOME=/root""#);
        assert_eq!(home(&["HOME=/root"], &named), ["HOME=/root"]);
    }

    #[test]
    fn the_tables_that_name_the_user_are_needed_and_no_others() {
        let tables = Tables {
            passwd: b"app:x:999:998::/srv:\nplain:x:7:0::/:\n".to_vec(),
            group: b"log:x:44:app\n".to_vec(),
        };
        let needed = |user: &str| needed_of(user, &tables);
        assert_eq!(needed("app"), ["/etc/passwd", "/etc/group"]);
        assert_eq!(needed("999"), ["/etc/passwd", "/etc/group"]);
        assert_eq!(needed("app:5"), ["/etc/passwd"]);
        assert_eq!(needed("5:log"), ["/etc/group"]);
        assert!(needed("5").is_empty() && needed("7").is_empty() && needed("none").is_empty());
    }

    #[test]
    fn groups_of_the_container_are_kept_and_those_of_root_are_not() {
        let app = account(999, &[44], "/");
        let ours = getgroups()
            .expect("groups")
            .into_iter()
            .map(|gid| gid.as_raw());
        let root = account(0, &ours.collect::<Vec<_>>(), "/");
        assert_eq!(groups(&app, Some(&root)), [44, 999]);
    }
}
