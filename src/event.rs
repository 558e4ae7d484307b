//! What the tracer tells the recorder, in the order in which it was seen.

use crate::image_path::ImagePath;
use crate::recording::{Access, Exec, Loss, Origin, Place};

/// One fact, told once: the tracer keeps what it has told already.
#[derive(Clone, Debug, PartialEq, Eq)]
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
