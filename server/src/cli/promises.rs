//! What a project's destinations promise where it is not the default: in order of arrival, queued, sent again after doubt.

use channels::Project;
use engine::{Order, OutletPlan, QueueMode, WhenUnsure};

use crate::terminal::Table;

/// One row for each destination that promises something else. Empty where all promise the default.
pub(super) fn table(project: &Project) -> String {
    let mut table = Table::headed(&["CHANNEL", "DESTINATION", "PROMISES"]);
    let mut differs = false;
    for channel in project.channels.iter().filter(|channel| channel.enabled) {
        for outlet in channel.plan.iter().flat_map(|plan| &plan.outlets) {
            let promises = promises(outlet);
            if !promises.is_empty() {
                differs = true;
                table.row([channel.name.clone(), outlet.name.clone(), promises.join("; ")]);
            }
        }
    }
    if differs { format!("\n{}", table.render(None)) } else { String::new() }
}

fn promises(outlet: &OutletPlan) -> Vec<&'static str> {
    let order = match outlet.order {
        Order::Arrival => None,
        Order::Key => Some("order within a key alone"),
        Order::None => Some("no order: a message may overtake an older one"),
    };
    let queue = match outlet.queue {
        QueueMode::OnFailure | QueueMode::Always => None,
        QueueMode::Never => Some("no queue: what cannot be delivered at once is given up"),
    };
    let doubt = match outlet.when_unsure() {
        WhenUnsure::Resend => None,
        WhenUnsure::Hold => Some("what may have arrived is set aside for a person"),
        WhenUnsure::Stop => Some("what may have arrived stops the queue for a person"),
    };
    [order, queue, doubt].into_iter().flatten().collect()
}
