//! `mesh-node shim`: joins an attempt's cgroups, then becomes its command.
//!
//! Limits must hold before the first instruction of the command, and a hook between fork and exec
//! would make every start slow (fork copies the page tables), so this small step between does it. It is
//! used only for attempts with limits.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The shell's code for "found, but cannot be executed".
const CANNOT_EXECUTE: u8 = 126;

/// The arguments that make [`run`] join these cgroups and execute `program` as `argv`.
pub fn arguments(doors: &[PathBuf], program: &Path, argv: &[String]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["shim".into()];
    for door in doors {
        arguments.extend(["--cgroup".into(), door.as_os_str().to_owned()]);
    }
    arguments.extend(["--program".into(), program.as_os_str().to_owned(), "--".into()]);
    arguments.extend(argv.iter().map(OsString::from));
    arguments
}

/// Joins the cgroups named in `args` (what follows the word `shim`) and executes the command.
/// Returns only when that failed; the reason is on stderr, which is the attempt's own.
pub fn run(args: &[OsString]) -> ExitCode {
    let error = match parse(args) {
        Some(plan) => plan.execute(),
        None => "expected --cgroup FILE.. --program FILE -- COMMAND..".to_owned(),
    };
    let _closed = writeln!(std::io::stderr(), "mesh-node: {error}");
    ExitCode::from(CANNOT_EXECUTE)
}

struct Plan<'a> {
    doors: Vec<&'a Path>,
    program: &'a Path,
    name: &'a OsStr,
    arguments: &'a [OsString],
}

fn parse(args: &[OsString]) -> Option<Plan<'_>> {
    let (mut doors, mut program, mut rest) = (Vec::new(), None, args);
    loop {
        let (flag, after) = rest.split_first()?;
        if flag == "--" {
            let (name, arguments) = after.split_first()?;
            return Some(Plan { doors, program: program?, name, arguments });
        }
        let (value, after) = after.split_first()?;
        match flag.to_str()? {
            "--cgroup" => doors.push(Path::new(value)),
            "--program" => program = Some(Path::new(value)),
            _ => return None,
        }
        rest = after;
    }
}

impl Plan<'_> {
    /// Never returns when all went well; otherwise why not.
    fn execute(&self) -> String {
        for door in &self.doors {
            // 0 stands for the writer itself.
            let door = fs::File::options().write(true).open(door);
            if let Err(error) = door.and_then(|mut door| door.write_all(b"0")) {
                return format!("cannot set the attempt's limits: {error}");
            }
        }
        self.become_command()
    }

    #[cfg(unix)]
    fn become_command(&self) -> String {
        use std::os::unix::process::CommandExt as _;
        let mut command = std::process::Command::new(self.program);
        let error = command.arg0(self.name).args(self.arguments).exec();
        format!("cannot execute {}: {error}", self.program.display())
    }

    #[cfg(not(unix))]
    fn become_command(&self) -> String {
        format!("cannot execute {:?} with {:?}: not supported", self.name, self.arguments)
    }
}
