//! What a program file gives to whoever executes it (execve(2), "effective user ID";
//! capabilities(7), "File capabilities"), and whether tracing took it away. Decisions only.

use crate::image_fs::Meta;
use std::fmt;

/// What the file gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gain {
    /// Its owner, where it is set-user-ID.
    user: Option<u32>,
    /// Its group, where it is set-group-ID.
    group: Option<u32>,
    /// Permitted capabilities as bits.
    capabilities: u64,
}

/// What a process may do (proc_pid_status(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privileges {
    /// Effective user ID.
    pub euid: u32,
    /// Effective group ID.
    pub egid: u32,
    /// Permitted capabilities as bits.
    pub permitted: u64,
    /// The bounding set: no file gives more.
    pub bounding: u64,
    /// no_new_privs: no file gives anything.
    pub no_new_privs: bool,
}

/// What of tracing takes gains away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hindrance {
    /// We have set no_new_privs, for the filter.
    pub no_new_privs: bool,
    /// We lack CAP_SYS_PTRACE (ptrace(2), "execve(2) under ptrace").
    pub ptrace: bool,
}

const SET_USER_ID: u32 = 0o4000;
const SET_GROUP_ID: u32 = 0o2000;
const GROUP_EXECUTE: u32 = 0o010;

impl Gain {
    /// Of a program file and its `security.capability` attribute. `None` for most.
    pub fn of(meta: &Meta, attribute: Option<&[u8]>) -> Option<Self> {
        // Without the execute bit, set-group-ID means something else (inode(7)).
        let of_group = SET_GROUP_ID | GROUP_EXECUTE;
        let gain = Self {
            user: (meta.mode & SET_USER_ID != 0).then_some(meta.uid),
            group: (meta.mode & of_group == of_group).then_some(meta.gid),
            capabilities: attribute.and_then(permitted_by).unwrap_or_default(),
        };
        let nothing = Self {
            user: None,
            group: None,
            capabilities: 0,
        };
        (gain != nothing).then_some(gain)
    }

    /// Whether the process that executes the file now lacks what it would have without us.
    pub fn is_lost(&self, now: &Privileges, hindrance: Hindrance) -> bool {
        let ours = hindrance.no_new_privs || (hindrance.ptrace && !now.no_new_privs);
        ours && !self.is_held(now)
    }

    /// Whether the process that is about to execute the file, under a tracer without
    /// CAP_SYS_PTRACE, would get less of it than without one (capabilities(7); in the kernel
    /// `cap_bprm_creds_from_file`). Who may set its IDs anyway gets them, but could not be looked
    /// at with different ones: that counts too.
    pub fn is_at_stake(&self, before: &Privileges) -> bool {
        let of_root = if self.user == Some(0) { u64::MAX } else { 0 };
        let given = (self.capabilities | of_root) & before.bounding;
        let gives_ids = self.user.is_some_and(|user| user != before.euid)
            || self.group.is_some_and(|group| group != before.egid);
        !before.no_new_privs && (gives_ids || given & !before.permitted != 0)
    }

    fn is_held(&self, now: &Privileges) -> bool {
        self.user.is_none_or(|user| user == now.euid)
            && self.group.is_none_or(|group| group == now.egid)
            && self.capabilities & now.bounding & !now.permitted == 0
    }
}

/// For messages: by what the file gives most.
impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.user, self.group) {
            (Some(_), _) => "set-user-ID bit",
            (None, Some(_)) => "set-group-ID bit",
            (None, None) => "file capability set",
        })
    }
}

/// The permitted set of a `struct vfs_cap_data` of <linux/capability.h>: a word that tells the
/// revision, then words of permitted and inheritable bits by turns, all little-endian.
fn permitted_by(attribute: &[u8]) -> Option<u64> {
    let word = |index: usize| {
        let bytes = attribute.get(4 * index..4 * index + 4)?;
        Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)))
    };
    match word(0)? >> 24 {
        1 => word(1),
        2 | 3 => Some(word(1)? | word(3)? << 32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_fs::{ImageFs, MemFs};
    use crate::image_path::ImagePath;

    const GUEST: Privileges = Privileges {
        euid: 1500,
        egid: 1500,
        permitted: 0,
        bounding: 0xa804_25fb,
        no_new_privs: false,
    };
    const ROOT: Privileges = Privileges {
        euid: 0,
        egid: 0,
        permitted: GUEST.bounding,
        ..GUEST
    };
    const PTRACE: Hindrance = Hindrance {
        no_new_privs: false,
        ptrace: true,
    };
    const OUR_NO_NEW_PRIVS: Hindrance = Hindrance {
        no_new_privs: true,
        ptrace: true,
    };

    fn of(mode: u32, uid: u32, gid: u32, attribute: Option<&[u8]>) -> Option<Gain> {
        let fs = MemFs::new()
            .program("/program", "")
            .with_meta("/program", |meta| {
                (meta.mode, meta.uid, meta.gid) = (mode, uid, gid);
            });
        let path = ImagePath::new("/program").expect("absolute");
        Gain::of(&fs.lstat(&path).expect("there"), attribute)
    }

    /// `cap_dac_override+ep`, bit 1, in revision 2.
    const DAC_OVERRIDE: [u8; 20] = [1, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn most_programs_give_nothing() {
        assert_eq!(of(0o755, 0, 0, None), None);
        assert_eq!(of(0o2644, 0, 8, None), None);
    }

    #[test]
    fn a_set_user_id_program_of_root_is_lost_to_others_only() {
        let sudo = of(0o4755, 0, 0, None).expect("a gain");
        assert!(sudo.is_lost(&GUEST, PTRACE));
        assert!(!sudo.is_lost(&ROOT, PTRACE));
        assert!(!sudo.is_lost(&Privileges { euid: 0, ..GUEST }, PTRACE));
    }

    #[test]
    fn root_loses_a_program_set_user_id_to_another() {
        let to_guest = of(0o4755, 1500, 0, None).expect("a gain");
        assert!(to_guest.is_lost(&ROOT, OUR_NO_NEW_PRIVS));
    }

    #[test]
    fn a_set_group_id_program_counts_by_its_group() {
        let postdrop = of(0o2755, 0, 104, None).expect("a gain");
        assert!(postdrop.is_lost(&GUEST, PTRACE));
        assert!(!postdrop.is_lost(&Privileges { egid: 104, ..GUEST }, PTRACE));
    }

    #[test]
    fn file_capabilities_count_as_far_as_the_bounding_set_goes() {
        let capable = of(0o755, 0, 0, Some(&DAC_OVERRIDE)).expect("a gain");
        assert!(capable.is_lost(&GUEST, PTRACE));
        assert!(!capable.is_lost(&ROOT, PTRACE));
        let none = Privileges {
            bounding: 0,
            ..GUEST
        };
        assert!(!capable.is_lost(&none, PTRACE));
    }

    #[test]
    fn what_others_take_away_is_not_our_loss() {
        let sudo = of(0o4755, 0, 0, None).expect("a gain");
        assert!(!sudo.is_lost(&GUEST, Hindrance::default()));
        let already = Privileges {
            no_new_privs: true,
            ..GUEST
        };
        assert!(!sudo.is_lost(&already, PTRACE));
        assert!(sudo.is_lost(&already, OUR_NO_NEW_PRIVS));
    }

    #[test]
    fn at_stake_is_what_ptrace_takes_from_who_has_it_not_already() {
        let sudo = of(0o4755, 0, 0, None).expect("a gain");
        let to_guest = of(0o4755, 1500, 0, None).expect("a gain");
        let postdrop = of(0o2755, 0, 104, None).expect("a gain");
        let capable = of(0o755, 0, 0, Some(&DAC_OVERRIDE)).expect("a gain");
        for gain in [sudo, postdrop, capable] {
            assert!(gain.is_at_stake(&GUEST), "{gain:?}");
        }
        for gain in [sudo, capable] {
            assert!(!gain.is_at_stake(&ROOT), "{gain:?}");
        }
        assert!(!to_guest.is_at_stake(&GUEST), "itself already");
        assert!(to_guest.is_at_stake(&ROOT), "it could not be looked at");
        let already = Privileges {
            no_new_privs: true,
            ..GUEST
        };
        assert!(!sudo.is_at_stake(&already));
    }

    #[test]
    fn a_broken_attribute_gives_nothing() {
        for length in 0..DAC_OVERRIDE.len() - 4 {
            let cut = DAC_OVERRIDE.get(..length);
            let gain = of(0o755, 0, 0, cut);
            assert!(gain.is_none() || length >= 16, "{length}");
        }
        assert_eq!(
            of(0o755, 0, 0, Some(&[1, 0, 0, 9, 255, 255, 255, 255])),
            None
        );
    }
}
