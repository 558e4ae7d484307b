//! On the host: from an image to its verified micro image, through the docker or podman command
//! line. Nothing here traces; micropacker does that in the containers that this room makes.

mod again;
mod by_hand;
mod call;
mod engine;
mod exercise;
mod image;
mod interrupt;
mod outputs;
mod ready;
mod run_options;
mod site;
mod state;
mod summary;
mod trial;
mod trouble;
mod verify;
mod yaml;

pub mod probe;
pub mod requests;

pub use exercise::Exercise;
pub use image::micro_name;
pub use interrupt::Interrupt;
pub use ready::Readiness;
pub use run_options::{RunOptions, split_words};
pub use site::{PLACE, brought};
pub use summary::Summary;
pub use trouble::Trouble;

use call::Call;
use engine::Engine;
use exercise::{REQUESTS, failures};
use image::Original;
use outputs::{IMAGE, Outputs};
use probe::{Census, Finding};
use ready::findings;
use site::{BROUGHT, Site};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use summary::{Seconds, Side};
use trial::{Ran, Role, Stumble, Terms, last_word, show, warnings};

/// The image's inspection among what is brought along.
const INSPECTION: &str = "inspect.json";
/// The directory of the volume that the outputs of the traced run go to.
const OUT: &str = "out";

/// How long an image may go on to be loaded when a signal has come: an engine that is left alone
/// with it could name it afterwards.
const LOADING: Duration = Duration::from_secs(30);

/// What the user wants.
pub struct Wish {
    /// The original image.
    pub image: String,
    /// The name of the micro image.
    pub tag: String,
    /// Where the outputs go.
    pub artifacts: PathBuf,
    /// The engine, where one is named.
    pub engine: Option<OsString>,
    /// Its options.
    pub engine_options: Vec<OsString>,
    /// Options of `docker run`.
    pub run: RunOptions,
    /// Options of `run` alone.
    pub tracing: Vec<OsString>,
    /// Options that shape the image, of `run` and `pack`.
    pub shaping: Vec<OsString>,
    /// Files that those name, as they are brought along.
    pub files: Vec<(String, Vec<u8>)>,
    /// When the application is ready; what suits it when `None`.
    pub readiness: Option<Readiness>,
    /// How long that may take.
    pub ready_limit: Duration,
    /// Ports it listens on, where that are not those of EXPOSE or those that are published.
    pub ports: Vec<u16>,
    /// How long it may take to end.
    pub stop_seconds: u64,
    /// What is done with it.
    pub exercise: Exercise,
    /// Whether standard output must be the same.
    pub same_output: bool,
    /// Whether the original is run untraced first.
    pub baseline: bool,
    /// Reports of other runs, to be packed together with this one.
    pub merged: Vec<Vec<u8>>,
    /// How often what a failing micro image lacks may be added.
    pub fixes: u32,
}

/// Goes the whole way.
///
/// # Errors
/// When it did not come to a verdict. Nothing is left in the engine then.
pub fn build(wish: &Wish, interrupt: &Interrupt) -> Result<Summary, Trouble> {
    let engine = Engine::find(wish.engine.as_deref(), &wish.engine_options, interrupt)?;
    let original = inspect(&engine, wish)?;
    if original.argv(&wish.run).is_none() {
        return Err(Trouble::usage(format!(
            "{} starts nothing: give a command behind a second --",
            original.name
        )));
    }
    let health_check = original.health_check().filter(|_| !wish.run.unhealthy);
    let has_check = health_check.is_some() || wish.run.brings_health_check;
    if wish.readiness == Some(Readiness::Health) && !has_check {
        return Err(Trouble::usage(format!(
            "--ready health: {} has no health check; give one behind -- (--health-cmd)",
            original.name
        )));
    }
    for option in &wish.run.dropped {
        tracing::info!("{option} is not passed on: build makes and removes the containers itself");
    }
    let known = [&wish.ports, &original.tcp_ports(), &wish.run.published];
    let ports = known.into_iter().find(|ports| !ports.is_empty());
    let ports = ports.cloned().unwrap_or_default();
    let readiness = match &wish.readiness {
        Some(asked) => asked.clone(),
        None => Readiness::fitting(has_check, !ports.is_empty()),
    };
    tracing::info!(
        "{}: {}, {}; {} {}; ready when {readiness}",
        original.name,
        crate::report::text::size(original.bytes),
        original.config.architecture,
        engine.name(),
        engine.version
    );
    let by_hand = wish.exercise.is_empty() && readiness != Readiness::End && by_hand::is_possible();
    if wish.exercise.is_empty() && !by_hand && readiness != Readiness::End {
        tracing::info!(
            "no exercise was given: what the application uses to start and to end is all that is \
             traced"
        );
    }
    let outputs = Outputs::new(&wish.artifacts)?;
    let site = Site::new(engine, wish.run.shared.clone())?;
    let terms = Terms {
        original: &original,
        options: &wish.run,
        readiness: &readiness,
        readiness_is_asked: wish.readiness.is_some(),
        ports: &ports,
        ready_limit: wish.ready_limit,
        stop_seconds: wish.stop_seconds,
        exercise: &wish.exercise,
        health_check,
        by_hand,
    };
    Building {
        wish,
        original: &original,
        terms,
        outputs,
        site,
        census: Census::default(),
    }
    .go()
}

/// The image, fetched when it is not here.
fn inspect(engine: &Engine, wish: &Wish) -> Result<Original, Trouble> {
    let name = &wish.image;
    let look = || engine.make(engine.call(["image", "inspect", name]));
    let mut done = look()?;
    if !done.status.success() {
        tracing::info!("{name} is not here: {} pull {name}", engine.name());
        let mut words = vec![OsString::from("pull")];
        if let Some(platform) = &wish.run.platform {
            words.extend(["--platform".into(), platform.clone()]);
        }
        words.push(name.into());
        let call = Call {
            limit: None,
            ..engine.call(words)
        };
        let pulled = engine.make(call)?;
        if !pulled.status.success() {
            return Err(Trouble::not_found(format!(
                "there is no image {name}, and it cannot be pulled: {}",
                pulled.complaint()
            )));
        }
        done = look()?;
    }
    let original = Original::new(name, done.stdout)
        .map_err(|why| Trouble::cannot_run(format!("{name}: {why}")))?;
    match original.mismatch() {
        Some(why) => Err(Trouble::cannot_run(why)),
        None => Ok(original),
    }
}

/// One build, when all is known.
struct Building<'a> {
    wish: &'a Wish,
    original: &'a Original,
    terms: Terms<'a>,
    outputs: Outputs,
    site: Site,
    census: Census,
}

impl Building<'_> {
    fn go(mut self) -> Result<Summary, Trouble> {
        self.census = self.prepare()?;
        let mut seconds = Seconds::default();
        let mut baseline = None;
        if self.wish.baseline {
            tracing::info!("the original, untraced");
            let ran = self.original(&Role::Untraced)?;
            self.site.remove(&ran.id);
            seconds.untraced = Some(ran.used.as_secs_f64());
            baseline = Some(ran);
        }
        tracing::info!("the original, traced");
        let traced = self.original(&self.traced(OUT))?;
        seconds.traced = traced.used.as_secs_f64();
        self.outputs.keep("traced.log", &traced.log);
        let report = self.outputs.take(&self.site, &traced.id, OUT);
        self.site.remove(&traced.id);
        let mut report = report.map_err(|trouble| explained(trouble, &traced.log))?;
        let warnings = warnings(&traced.log);
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        if let Some(before) = &baseline {
            tell_changes(before, &traced, self.wish.same_output);
        }
        if !self.wish.merged.is_empty() {
            tracing::info!("packing {} runs together", self.wish.merged.len() + 1);
            report = self.merge()?;
        }
        let expected = baseline.as_ref().unwrap_or(&traced);
        let mut summary = Summary {
            image: self.original.name.clone(),
            tag: self.wish.tag.clone(),
            engine: format!("{} {}", self.site.engine.name(), self.site.engine.version),
            tracer: report.engine.clone(),
            warnings,
            exit: expected.exit,
            original: Side::original(self.original.bytes, self.census, &report),
            seconds,
            artifacts: self.wish.artifacts.display().to_string(),
            ..Summary::default()
        };
        self.verify(expected, report, &mut summary)?;
        if summary.verified {
            self.site.proven();
        }
        self.site.clear();
        self.outputs.keep("summary.json", &summary.json());
        Ok(summary)
    }

    /// A run of the original, which must do what is asked of it.
    fn original(&self, role: &Role) -> Result<Ran, Trouble> {
        let name = &self.original.name;
        let ran = self
            .terms
            .run(&self.site, role)
            .map_err(|stumble| match stumble {
                Stumble::Trouble(trouble) => trouble,
                Stumble::Fault(why, log) => {
                    show(&log);
                    Trouble::cannot_run(format!("{name}: {why}"))
                }
            })?;
        let failures = failures(&ran.outcomes);
        if failures.is_empty() {
            return Ok(ran);
        }
        show(&ran.log);
        Err(Trouble::cannot_run(format!(
            "{name} itself fails the exercise: {}",
            failures.join("; ")
        )))
    }

    /// How the original is traced; the outputs go to this directory of the volume.
    fn traced(&self, directory: &str) -> Role {
        let place = format!("{PLACE}/{directory}");
        let mut words: Vec<OsString> = vec![
            "-o".into(),
            format!("{place}/rootfs.tar").into(),
            "--artifacts".into(),
            place.into(),
            "--stop-timeout".into(),
            self.wish.stop_seconds.to_string().into(),
        ];
        words.extend(self.shaping());
        words.extend_from_slice(&self.wish.tracing);
        Role::Traced(words)
    }

    /// Options of `run` and `pack` alike.
    fn shaping(&self) -> Vec<OsString> {
        let config = format!("{BROUGHT}/{INSPECTION}");
        let mut words = ["--tag", &self.wish.tag, "--image-config", &config]
            .map(OsString::from)
            .to_vec();
        words.extend_from_slice(&self.wish.shaping);
        let files = self
            .original
            .files_of_the_engine(&self.wish.run, self.census);
        for file in files {
            words.push(format!("--include={file}").into());
        }
        words
    }

    /// Fills the volume, through a container that then counts the files of the original.
    fn prepare(&self) -> Result<Census, Trouble> {
        let mut words: Vec<OsString> = vec!["--network".into(), "none".into()];
        words.extend(self.site.own_options());
        words.extend([&self.original.id, "probe", "--files"].map(Into::into));
        let id = self.site.create(&words)?;
        let mut files = self.wish.files.clone();
        files.push((INSPECTION.to_owned(), self.original.text.clone()));
        files.push((REQUESTS.to_owned(), self.wish.exercise.list().into_bytes()));
        for (number, report) in self.wish.merged.iter().enumerate() {
            files.push((format!("merged-{number}.json"), report.clone()));
        }
        self.site.fill(&id, &files)?;
        let call = Call {
            limit: None,
            ..self.site.engine.call(["start", "--attach", &id])
        };
        let printed = self.site.engine.ask(call)?;
        self.site.remove(&id);
        let census = findings(&printed).into_iter().find_map(|one| match one {
            Finding::Files(census) => Some(census),
            _ => None,
        });
        census.ok_or_else(|| {
            Trouble::cannot_run(format!(
                "{}: its files cannot be counted",
                self.original.name
            ))
        })
    }

    /// Loads the image and gives its ID.
    fn load(&mut self) -> Result<String, Trouble> {
        self.site.before_naming(&self.wish.tag)?;
        let path = self.outputs.path(IMAGE);
        let engine = &self.site.engine;
        let call = Call {
            limit: None,
            grace: LOADING,
            ..engine.call([OsString::from("load"), "--input".into(), path.into()])
        };
        let done = engine.make(call)?;
        if !done.status.success() {
            return Err(Trouble::output(format!(
                "{} does not load the image: {}",
                engine.name(),
                done.complaint()
            )));
        }
        let id = self.site.image_id(&self.wish.tag)?;
        id.ok_or_else(|| {
            let tag = &self.wish.tag;
            Trouble::output(format!("the image was loaded, and not as {tag}"))
        })
    }
}

/// Outputs that are not there: micropacker in the container says why.
fn explained(trouble: Trouble, log: &[u8]) -> Trouble {
    match last_word(log) {
        Some(word) if !trouble.is_interruption() => {
            show(log);
            Trouble::output(format!("the traced run wrote no image: {word}"))
        }
        _ => trouble,
    }
}

/// What the application did otherwise under trace.
fn tell_changes(untraced: &Ran, traced: &Ran, same_output: bool) {
    for difference in verify::compare(untraced, traced, same_output) {
        tracing::warn!("traced, it did otherwise: {difference}");
    }
}
