//! How a program is started: its arguments, its variables, its folder, its user.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use engine::Outbound;
use tokio::process::Command;

use super::{
    account::Account,
    program,
    settings::{Input, Settings, Text},
};

/// Stands for the file with the message among the arguments.
const FILE_HERE: &str = "{}";

/// What a program may know of the engine's own environment.
const PASSED_ON: [&str; 5] = ["HOME", "USER", "LANG", "LC_ALL", "TZ"];

/// All that one start needs.
pub(super) struct Start<'a> {
    pub(super) settings: &'a Settings,
    pub(super) program: &'a Path,
    pub(super) dir: &'a Path,
    pub(super) account: Option<&'a Account>,
    /// Variables of this run.
    pub(super) own: Vec<(&'static str, String)>,
    /// The file with the message, where it has one.
    pub(super) file: Option<&'a Path>,
}

impl Start<'_> {
    /// The command; the error, which is about this message, names no content.
    pub(super) fn command(&self, outbound: &Outbound) -> Result<Command, String> {
        let mut command = Command::new(self.program);
        command.args(self.arguments(outbound)?).current_dir(self.dir);
        command.env_clear().envs(self.environment(outbound)?);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.stdin(if self.settings.input == Input::Stdin { Stdio::piped() } else { Stdio::null() });
        if let Some(account) = self.account.filter(|account| account.is_another()) {
            command.uid(account.user).gid(account.group);
        }
        Ok(command)
    }

    fn arguments(&self, outbound: &Outbound) -> Result<Vec<PathBuf>, String> {
        let mut arguments = Vec::new();
        let mut options_end = false;
        let mut is_named = false;
        for (place, written) in self.settings.run.iter().enumerate().skip(1) {
            if let Some(file) = self.file.filter(|_| written.0 == FILE_HERE) {
                arguments.push(file.to_owned());
                is_named = true;
                continue;
            }
            let text = outbound.text(&format!("run.{place}"), &written.0);
            whole(&format!("argument {place}"), text)?;
            if text.starts_with('-') && written.0.starts_with("${") && !options_end {
                return Err(format!(
                    "argument {place} begins with `-`, and the program would take it for an option: an argument `--` \
                     before it says that it is none"
                ));
            }
            options_end |= written.0 == "--";
            arguments.push(text.into());
        }
        arguments.extend(self.file.filter(|_| !is_named).map(Path::to_owned));
        Ok(arguments)
    }

    fn environment(&self, outbound: &Outbound) -> Result<BTreeMap<String, String>, String> {
        let ours = PASSED_ON.iter().filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)));
        let mut variables: BTreeMap<String, String> = ours.collect();
        variables.insert("PATH".to_owned(), program::search_path());
        if let Some(account) = self.account {
            for name in ["HOME", "USER"] {
                variables.remove(name);
            }
            if let Some((name, home)) = &account.name {
                variables.extend([("USER".to_owned(), name.clone()), ("HOME".to_owned(), home.clone())]);
            }
        }
        for (name, Text(written)) in &self.settings.environment {
            let text = outbound.text(&format!("environment.{name}"), written);
            whole(&format!("the variable `{name}`"), text)?;
            variables.insert(name.clone(), text.to_owned());
        }
        let own = self.own.iter().filter(|(_, value)| !value.contains('\0'));
        variables.extend(own.map(|(name, value)| ((*name).to_owned(), value.clone())));
        Ok(variables)
    }
}

/// What the system would cut is not given to it.
fn whole(what: &str, text: &str) -> Result<(), String> {
    if text.contains('\0') {
        Err(format!("{what} became what no program can be given: it holds a zero byte"))
    } else {
        Ok(())
    }
}
