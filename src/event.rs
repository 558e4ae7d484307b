//! What the tracer tells the recorder, in the order in which it was seen.

use crate::image_path::ImagePath;
use crate::recording::{Access, Exec, Loss, Origin, Place};
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
    /// A program was started.
    Started(Exec),
    /// Something is being made at this physical path, where nothing was.
    Created(ImagePath),
    /// What was at this physical path before the trace is being removed or renamed away.
    Removed(ImagePath),
    /// Something could not be seen.
    Lost(Loss),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    fn any_event() -> impl Strategy<Value = Event> {
        let origin =
            (any::<i32>(), proptest::option::of(any_path())).prop_map(|(pid, program)| Origin {
                pid,
                program,
                call: "openat".into(),
            });
        prop_oneof![
            (any_place(), any_access(), origin).prop_map(|(place, access, origin)| Event::Used {
                place,
                access,
                origin
            }),
            any_exec().prop_map(Event::Started),
            any_path().prop_map(Event::Created),
            any_path().prop_map(Event::Removed),
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
