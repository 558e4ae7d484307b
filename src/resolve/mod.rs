//! Recording to manifest: from the paths that were used to everything that must be shipped.

mod cache;
mod closure;
mod earlier;
mod include;
/// The ancestor's file lists.
pub mod list;
mod listed;
mod loader;
mod metadata;
/// Globs over absolute paths.
pub mod patterns;
mod plan;
/// Named sets of files.
pub mod presets;
mod programs;
mod rules;
mod script;
#[cfg(test)]
mod tests;
mod uses;

use crate::image_fs::{FileKind, FileTime, ImageFs};
use crate::image_path::ImagePath;
use crate::manifest::{Manifest, Reason};
use crate::mounts::Mounts;
use crate::packages::PackageMetadata;
use crate::recording::Recording;
use cache::CachedFs;
use closure::Closures;
pub use list::{ListReport, add_interpreter, from_list};
use patterns::Patterns;
use plan::{Plan, Wish};
use presets::Preset;
use programs::{Programs, Setting};
use rules::{Rules, Verdict};

/// What becomes of the entries of a directory that the application listed, when they were not
/// used otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listed {
    /// Kept where the directory belongs to the application: no package owns it, it is no module
    /// path of a language runtime, it is not huge.
    #[default]
    Auto,
    /// Kept.
    Full,
    /// Left out.
    Skip,
}

/// What becomes of files that were only looked at, never opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Probed {
    /// Kept whole.
    #[default]
    Full,
    /// Left out; directories stay.
    Skip,
}

/// What the user wants and what the container is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// `--listed`.
    pub listed: Listed,
    /// `--probed`.
    pub probed: Probed,
    /// `--include`: shipped though nothing used it, a directory with all below it.
    pub include: Patterns,
    /// `--exclude`: left out with all below it, whatever used it.
    pub exclude: Patterns,
    /// `--include-exe`: programs by name or path.
    pub include_exe: Vec<Vec<u8>>,
    /// `--preset`: named sets of files.
    pub presets: Vec<Preset>,
    /// `--include-mount`: files at or below these paths, on their own mount, are taken too.
    pub include_mounts: Vec<ImagePath>,
    /// Micropacker's binary and outputs: physical paths, of files or of whole directories.
    pub own: Vec<ImagePath>,
    /// The mount table that the application saw.
    pub mounts: Mounts,
    /// `--keep-package-metadata`.
    pub package_metadata: PackageMetadata,
    /// When the trace began; `None` where nothing was traced.
    pub started: Option<FileTime>,
    /// Whether `/proc`, `/sys`, `/dev`, `/var/lib/docker` and the marks of container engines
    /// stay out, mounted or not.
    pub builtin_exclusions: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listed: Listed::default(),
            probed: Probed::default(),
            include: Patterns::none(),
            exclude: Patterns::none(),
            include_exe: Vec::new(),
            presets: Vec::new(),
            include_mounts: Vec::new(),
            own: Vec::new(),
            mounts: Mounts::none(),
            package_metadata: PackageMetadata::default(),
            started: None,
            builtin_exclusions: true,
        }
    }
}

/// Plans the image: every used path link by link, parent directories, `#!` chains, ELF
/// closures, listed directories, and what the user included. What is left out, and what could
/// not be read or found, is in the manifest too.
pub fn resolve(fs: &dyn ImageFs, recording: &Recording, options: &Options) -> Manifest {
    let cached = CachedFs::new(fs);
    let roots = loader::Roots::of(&cached, recording);
    let mut loaders = loader::Loaders::new(&roots);
    resolve_with(&cached, recording, options, &mut loaders)
}

/// Whether something at this physical path could become part of the image at all: it lies on no
/// foreign mount, and nothing excludes it.
pub fn may_ship(fs: &dyn ImageFs, options: &Options, path: &ImagePath, kind: FileKind) -> bool {
    !matches!(
        Rules::new(fs, options).judge(path, kind, true),
        Verdict::Out(_)
    )
}

fn resolve_with(
    fs: &dyn ImageFs,
    recording: &Recording,
    options: &Options,
    closures: &mut dyn Closures,
) -> Manifest {
    let mut rules = Rules::new(fs, options);
    rules.doubt_clocks(recording);
    let mut plan = Plan::new(fs, rules);
    let mut programs = Programs::new(closures);
    let listings = uses::take_uses(&mut plan, &mut programs, recording, options);
    uses::take_execs(&mut plan, &mut programs, recording);
    uses::keep_parents_of_changes(&mut plan, recording);
    take_wishes(&mut plan, &mut programs, recording, options);
    programs.run(&mut plan);
    uses::take_listings(&mut plan, &listings, options);
    if options.presets.contains(&Preset::PythonPackage) {
        let setting = Setting::of_context(&recording.context);
        presets::complete_python(&mut plan, &mut programs, &setting);
        programs.run(&mut plan);
    }
    take_what_every_image_has(&mut plan, recording);
    metadata::take_package_metadata(&mut plan, options);
    programs.tell_missing(&mut plan);
    for (preset, why) in presets::suggest(&plan, recording, &options.presets) {
        plan.hint(format!("--preset {} may be needed: {why}", preset.name()));
    }
    plan.finish(recording.losses.iter().cloned())
}

fn take_wishes(plan: &mut Plan, programs: &mut Programs, recording: &Recording, options: &Options) {
    let setting = Setting::of_context(&recording.context);
    for pattern in options.include.iter() {
        include::include(plan, programs, pattern, &setting);
    }
    for name in &options.include_exe {
        include::include_exe(plan, programs, name, &setting);
    }
    for preset in &options.presets {
        presets::take(plan, programs, *preset, &setting);
    }
    let idle: Vec<String> = plan
        .rules()
        .idle_mount_requests()
        .map(|path| format!("--include-mount {path}: nothing is mounted there: mend the path"))
        .collect();
    let problem = plan.rules().problem().map(str::to_owned);
    let told = idle.into_iter().chain(problem);
    told.for_each(|what| plan.lose(what));
}

fn take_what_every_image_has(plan: &mut Plan, recording: &Recording) {
    let named = |path: &str| ImagePath::new(path);
    for path in ["/tmp", "/var/tmp"].into_iter().filter_map(named) {
        plan.ensure_directory(&path, 0o1777);
    }
    // Engines mount over these: an image holds them as empty directories.
    let mount_points = ["/dev", "/proc", "/sys"].into_iter().filter_map(named);
    let there = mount_points.filter(|path| plan.fs.lstat(path).is_ok());
    let wanted: Vec<ImagePath> = there.chain(recording.context.cwd.clone()).collect();
    for path in wanted {
        plan.follow(
            &ImagePath::root(),
            &path,
            true,
            &Wish::because(Reason::Always),
        );
    }
}
