//! What the tracer tells the recorder, in the order in which it was seen.

use crate::image_path::ImagePath;
use crate::recording::{
    Access, Call, Endpoint, Exec, Introduced, Loss, Origin, Original, Outcome, Place,
};
use serde::{Deserialize, Serialize};

/// One fact, told once: the tracer keeps what it has told already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A path that is there was used.
    Used {
        /// As the process spelled it.
        place: Place,
        /// In which ways.
        access: Access,
        /// By whom.
        origin: Origin,
    },
    /// A process or thread is about to be named as the first to use something, or as the one that
    /// started such a one.
    Introduced(Introduced),
    /// A program was started.
    Started(Exec),
    /// Something is being made where nothing was: the physical path of its directory when the trace
    /// began, and its name in it.
    Created(ImagePath),
    /// Something that was there when the trace began is about to be changed, renamed or removed,
    /// and this is what it was. For a path that was kept before, only the body is news.
    Kept(Original),
    /// An original is being renamed or linked.
    Moved {
        /// Its physical path when the trace began.
        from: ImagePath,
        /// Where it may be from now on.
        to: ImagePath,
    },
    /// A system call was made, which only a trace tells that counts them.
    Called {
        /// Which one.
        call: Call,
        /// What became of it.
        outcome: Outcome,
    },
    /// A port is served.
    Listened {
        /// Which one.
        endpoint: Endpoint,
        /// By whom.
        origin: Origin,
    },
    /// Something could not be seen.
    Lost(Loss),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_string::ByteString;
    use crate::image_fs::{FileKind, FileTime, Meta};
    use crate::recording::{Body, Protocol};
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn any_path() -> impl Strategy<Value = ImagePath> {
        proptest::collection::vec(1u8.., 0..12)
            .prop_map(|name| ImagePath::root().join(name).unwrap_or_else(ImagePath::root))
    }

    fn any_place() -> impl Strategy<Value = Place> {
        (any_path(), any_path()).prop_map(|(root, path)| Place { root, path })
    }

    fn any_access() -> impl Strategy<Value = Access> {
        let ways = [
            Access::PROBE,
            Access::OPEN,
            Access::EXEC,
            Access::LIST,
            Access::ENTER,
            Access::CHANGE,
            Access::NO_FOLLOW,
            Access::WRITE,
        ];
        proptest::sample::subsequence(ways.to_vec(), 0..=ways.len())
            .prop_map(|ways| ways.into_iter().fold(Access::default(), Access::with))
    }

    fn any_exec() -> impl Strategy<Value = Exec> {
        let value = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..12));
        (
            (any_path(), any_path()),
            (
                proptest::option::of(any_path()),
                proptest::option::of(any_path()),
            ),
            (value(), value(), value()),
        )
            .prop_map(|((root, program), (file, cwd), variables)| Exec {
                root,
                program,
                file,
                cwd,
                path: variables.0,
                ld_library_path: variables.1,
                ld_preload: variables.2,
            })
    }

    fn any_original() -> impl Strategy<Value = Original> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..12);
        let body = prop_oneof![
            Just(Body::None),
            Just(Body::InPlace),
            bytes().prop_map(Body::Target),
            (any::<u64>(), any::<u64>()).prop_map(|(file, length)| Body::Saved { file, length }),
            any::<String>().prop_map(Body::Unsaved),
        ];
        let attributes = proptest::collection::vec((bytes(), bytes()), 0..3);
        (any_path(), any::<(i64, u64)>(), attributes, body).prop_map(
            |(path, (seconds, size), xattrs, body)| Original {
                path,
                meta: Meta {
                    kind: FileKind::Regular,
                    mode: 0o4755,
                    uid: 1,
                    gid: u32::MAX,
                    size,
                    allocated: 0,
                    mtime: FileTime {
                        seconds,
                        nanoseconds: 1,
                    },
                    ctime: FileTime::default(),
                    dev: 1,
                    ino: u64::MAX,
                    nlink: 2,
                    rdev: (1, 2),
                },
                xattrs: xattrs
                    .into_iter()
                    .map(|(name, value)| (ByteString(name), ByteString(value)))
                    .collect(),
                body,
            },
        )
    }

    fn any_called() -> impl Strategy<Value = Event> {
        let outcome = prop_oneof![
            any::<i32>().prop_map(Outcome::Refused),
            Just(Outcome::Begun),
            Just(Outcome::Answered)
        ];
        (any::<String>(), any::<String>(), outcome).prop_map(|(abi, name, outcome)| Event::Called {
            call: Call {
                abi: abi.into(),
                name: name.into(),
            },
            outcome,
        })
    }

    fn any_origin() -> impl Strategy<Value = Origin> {
        (any::<i32>(), proptest::option::of(any_path())).prop_map(|(pid, program)| Origin {
            pid,
            program,
            call: "openat".into(),
        })
    }

    fn any_listened() -> impl Strategy<Value = Event> {
        let protocol = prop_oneof![
            Just(Protocol::Tcp),
            Just(Protocol::Udp),
            Just(Protocol::Sctp)
        ];
        (protocol, any::<u16>(), any::<IpAddr>(), any_origin()).prop_map(
            |(protocol, port, address, origin)| Event::Listened {
                endpoint: Endpoint {
                    protocol,
                    port,
                    address,
                },
                origin,
            },
        )
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let origin = any_origin();
        prop_oneof![
            (any_place(), any_access(), origin).prop_map(|(place, access, origin)| Event::Used {
                place,
                access,
                origin
            }),
            any_exec().prop_map(Event::Started),
            any_path().prop_map(Event::Created),
            (any_path(), any_path()).prop_map(|(from, to)| Event::Moved { from, to }),
            any_original().prop_map(Event::Kept),
            any_called(),
            any_listened(),
            (
                any::<i32>(),
                proptest::option::of(any::<i32>()),
                proptest::option::of(any_path())
            )
                .prop_map(|(pid, parent, program)| Event::Introduced(Introduced {
                    pid,
                    parent,
                    program
                })),
            (any::<String>(), any::<u64>())
                .prop_map(|(what, count)| Event::Lost(Loss { what, count })),
        ]
    }

    proptest! {
        #[test]
        fn an_event_is_read_back_as_it_was_written(event in any_event()) {
            let text = serde_json::to_string(&event).expect("writes");
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<Event>(&text).expect("reads"), event);
        }
    }

    #[test]
    fn a_relative_path_is_no_event() {
        assert!(serde_json::from_str::<Event>(r#"{"created":"etc/x"}"#).is_err());
        assert!(serde_json::from_str::<Event>(r#"{"created":"/a\u0000b"}"#).is_err());
    }
}
