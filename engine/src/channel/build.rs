//! Makes a channel's line and outlets from its plan.

use std::{collections::BTreeMap, sync::Arc};

use tokio_util::task::TaskTracker;

use super::Surroundings;
use crate::{
    Connections, Directory, Opening, Plan, Trouble,
    arrivals::Arrivals,
    group::Waking,
    held::Holding,
    line::Line,
    outlet::{Conduct, Outlet, Shared},
    pace::Pace,
    recovery::Recovery,
};

/// What a channel's versions have in common.
#[derive(Clone)]
pub(super) struct Standing {
    pub(super) around: Surroundings,
    pub(super) arrivals: Arc<Arrivals>,
    pub(super) recovery: Arc<Recovery>,
    pub(super) holding: Arc<Holding>,
    pub(super) waking: Arc<Waking>,
    pub(super) tasks: TaskTracker,
    pub(super) connections: Connections,
    pub(super) trouble: Trouble,
}

impl Standing {
    pub(super) fn opening(&self, plan: &Plan) -> Opening {
        Opening {
            channel: Arc::clone(&plan.name),
            root: self.around.root.clone(),
            words: plan.words.clone(),
            charset: plan.charset.clone(),
            ports: self.around.ports.clone(),
            feeds: self.around.feeds.clone(),
            shares: self.around.shares.clone(),
            connections: self.connections.clone(),
            notes: self.around.notes.clone(),
            trouble: self.trouble.clone(),
            directory: Arc::clone(&self.around.directory),
        }
    }

    /// The outlet of each destination: the one that stands, or a new one.
    pub(super) fn outlets(
        &self,
        plan: &Plan,
        before: &BTreeMap<String, Arc<Outlet>>,
    ) -> BTreeMap<String, Arc<Outlet>> {
        let mut outlets = before.clone();
        for destination in &plan.outlets {
            outlets.entry(destination.name.clone()).or_insert_with(|| self.outlet(plan, &destination.name));
        }
        outlets
    }

    pub(super) fn outlet(&self, plan: &Plan, name: &str) -> Arc<Outlet> {
        let shared = Shared {
            directory: Arc::clone(&self.around.directory) as Arc<dyn Directory>,
            channel: Arc::clone(&plan.name),
            store: Arc::clone(&self.around.store),
            observer: Arc::clone(&self.around.observer),
            arrivals: Arc::clone(&self.arrivals),
        };
        Arc::new(Outlet::new(name, shared))
    }

    /// Puts the plan in force for the outlets: their settings, and who follows whom.
    pub(super) fn conduct(&self, plan: &Plan, outlets: &BTreeMap<String, Arc<Outlet>>) {
        for (index, destination) in plan.outlets.iter().enumerate() {
            let Some(outlet) = outlets.get(&destination.name) else { continue };
            let pace = Pace::new(self.around.spots.clone());
            let connections = self.connections.to(&destination.name);
            let opening = Opening { connections, ..self.opening(plan) };
            let mut conduct =
                Conduct::new(destination.clone(), index, Arc::clone(&plan.script), opening, pace);
            if let Some(before) = outlet.conducted() {
                conduct.inherit(&before);
            }
            outlet.conduct_by(Some(Arc::new(conduct)));
            let followers =
                plan.outlets.iter().filter(|other| other.after.as_ref() == Some(&destination.name));
            let followers = followers.filter_map(|other| outlets.get(&other.name)).map(Arc::downgrade);
            outlet.followed_by(followers.collect());
        }
        for (name, outlet) in outlets {
            if !plan.outlets.iter().any(|destination| destination.name == *name) {
                outlet.conduct_by(None);
            }
        }
    }

    pub(super) fn line(&self, plan: &Plan, outlets: &BTreeMap<String, Arc<Outlet>>) -> Arc<Line> {
        let in_order = plan.outlets.iter().filter_map(|destination| outlets.get(&destination.name).cloned());
        Arc::new(Line {
            channel: Arc::clone(&plan.name),
            version: plan.version,
            store: Arc::clone(&self.around.store),
            script: Arc::clone(&plan.script),
            expect: plan.expect.clone(),
            expectations: self.around.expectations.clone(),
            group: plan.group.clone(),
            waking: Arc::clone(&self.waking),
            outlets: in_order.collect(),
            reply: plan.reply.clone(),
            repeats: plan.repeats,
            silence: plan.words.silent,
            arrivals: Arc::clone(&self.arrivals),
            recovery: Arc::clone(&self.recovery),
            holding: Arc::clone(&self.holding),
            observer: Arc::clone(&self.around.observer),
            directory: Arc::clone(&self.around.directory) as Arc<dyn Directory>,
            pace: Pace::new(self.around.spots.clone()),
            tasks: self.tasks.clone(),
        })
    }
}
