//! Which extended attributes belong to an image, and how a tar archive carries them.
//!
//! Kept are those that the image's author set and that any host gives the same meaning:
//! `user.*`, file capabilities and POSIX ACLs. Labels that a host's own policy writes (SELinux,
//! AppArmor, Smack, IMA, EVM), the books that storage drivers keep on files, and the ACL
//! dialects of network file systems are the host's, and setting them elsewhere fails or
//! misleads. Anything else is left out as a loss.

use super::acl;
use super::pax::Records;

/// The readers refuse extended headers of more than 1 MiB.
const MAX_RECORDS: usize = 1 << 20;

/// Attributes of the host, not of the image: prefixes of their names.
const OF_THE_HOST: &[&[u8]] = &[
    b"security.selinux",
    b"security.apparmor",
    b"security.SMACK64",
    b"security.ima",
    b"security.evm",
    b"trusted.overlay.",
    b"trusted.SGI_",
    b"user.overlay.",
    b"user.fuseoverlayfs.",
    b"user.containers.",
    b"system.nfs4_",
    b"system.cifs_",
    b"system.smb3_",
    b"btrfs.",
    b"ceph.",
    b"lustre.",
];

const KEPT: &[&[u8]] = &[
    b"security.capability",
    b"system.posix_acl_access",
    b"system.posix_acl_default",
];

/// Adds a record for each attribute that is kept; gives what is lost, each with its reason.
pub fn add(attributes: &[(Vec<u8>, Vec<u8>)], records: &mut Records) -> Vec<String> {
    let mut lost = Vec::new();
    for (name, value) in attributes {
        let keyword = [b"SCHILY.xattr.", name.as_slice()].concat();
        let shown = name.escape_ascii();
        if OF_THE_HOST.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        } else if !name.starts_with(b"user.") && !KEPT.contains(&name.as_slice()) {
            lost.push(format!(
                "attribute {shown}: only this host knows its meaning"
            ));
        } else if !portable(name) {
            lost.push(format!(
                "attribute {shown}: a tar archive cannot hold its name"
            ));
        } else if records.len() + keyword.len() + value.len() > MAX_RECORDS - 4096 {
            lost.push(format!("attribute {shown}: more than 1 MiB of attributes"));
        } else {
            records.push(&keyword, value);
            if let (Some(keyword), Some(text)) = (acl::text_keyword(name), acl::text(value)) {
                records.push(keyword, text.as_bytes());
            }
        }
    }
    lost
}

/// GNU tar alone writes `=` as `%3D`; the others would take that for the name.
fn portable(name: &[u8]) -> bool {
    let escaped = |escape: &[u8]| name.windows(3).any(|at| at.eq_ignore_ascii_case(escape));
    !name.contains(&b'=') && !escaped(b"%3D") && !escaped(b"%25")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(attributes: &[(&str, &[u8])]) -> (Vec<u8>, Vec<String>) {
        let owned: Vec<_> = attributes
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()))
            .collect();
        let mut records = Records::default();
        let lost = add(&owned, &mut records);
        (records.encode(), lost)
    }

    #[test]
    fn what_the_image_set_is_kept_byte_for_byte() {
        let (records, lost) = added(&[("security.capability", b"\x01\0\n"), ("user.x", b"")]);
        assert_eq!(
            records,
            b"40 SCHILY.xattr.security.capability=\x01\0\n\n24 SCHILY.xattr.user.x=\n"
        );
        assert!(lost.is_empty());
    }

    #[test]
    fn labels_of_the_host_stay_with_it() {
        let (records, lost) = added(&[
            ("security.selinux", b"container_file_t"),
            ("trusted.overlay.origin", b"x"),
        ]);
        assert!(records.is_empty() && lost.is_empty());
    }

    #[test]
    fn what_cannot_be_carried_is_a_loss() {
        let (records, lost) = added(&[
            ("trusted.own", b"x"),
            ("user.a=b", b"x"),
            ("user.a%3db", b"x"),
        ]);
        assert!(records.is_empty());
        assert_eq!(lost.len(), 3);
    }

    #[test]
    fn more_attributes_than_readers_take_are_a_loss() {
        let value = vec![b'v'; 600_000];
        let (records, lost) = added(&[("user.a", &value), ("user.b", &value)]);
        assert!(records.len() < 1 << 20);
        assert_eq!(lost.len(), 1);
    }
}
