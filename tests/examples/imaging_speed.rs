//! How fast images go through the engine and a step on their header into a real archive, beside `storescu` straight into it.
//!
//! `cargo build --release -p server && cargo run --release -p tests --example imaging_speed`, on a machine that does nothing
//! else. Each way has an archive of its own, and the ways take turns.

use std::{
    collections::BTreeMap,
    env, fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{Instance, Orthanc, Project, Relais, free_port, stow, wait_until};

/// Pixels of one image: half a megabyte with its header.
const PIXELS: usize = 500 * 1024;
const USUAL_COUNT: u32 = 400;
const USUAL_ROUNDS: usize = 3;

/// How the senders send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Association,
    Stow,
}

/// What stands between the senders and the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    /// The engine, which stores by association.
    Association,
    /// The engine, which stores by STOW-RS.
    Stow,
    /// The same, several in a request.
    StowTogether,
}

/// All ways: the first is what the others are measured by.
const WAYS: [(In, Between); 8] = [
    (In::Association, Between::Nothing),
    (In::Association, Between::Association),
    (In::Association, Between::Stow),
    (In::Association, Between::StowTogether),
    (In::Stow, Between::Nothing),
    (In::Stow, Between::Association),
    (In::Stow, Between::Stow),
    (In::Stow, Between::StowTogether),
];

/// The images, for so many senders.
struct Images {
    project: Project,
    all: Vec<Vec<Instance>>,
}

impl Images {
    fn new(count: u32, senders: u32) -> Self {
        let project = Project::new();
        let share = |sender: u32| (1..=count).filter(move |number| number % senders == sender);
        let image = |number: u32| Instance { pixels: PIXELS, ..Instance::of("1.2.826.0.1.7", number) };
        let all: Vec<Vec<Instance>> = (0..senders).map(|sender| share(sender).map(image).collect()).collect();
        for (sender, images) in all.iter().enumerate() {
            for image in images {
                project.write(&format!("{sender}/{:05}.dcm", image.number), image.file());
            }
        }
        Self { project, all }
    }

    /// Sends all of them; ends when all are answered.
    fn send(&self, by: In, port: u16) {
        thread::scope(|scope| {
            for (sender, images) in self.all.iter().enumerate() {
                scope.spawn(move || match by {
                    In::Association => storescu(port, &self.project.path(&sender.to_string())),
                    In::Stow => {
                        for image in images {
                            assert_eq!(stow(port, &[image.file()]).0, 200);
                        }
                    }
                });
            }
        });
    }

    fn count(&self) -> u64 {
        self.all.iter().map(|images| images.len() as u64).sum()
    }
}

fn storescu(port: u16, folder: &std::path::Path) {
    let run = Command::new("storescu")
        .args(["-aec", "ORTHANC", "127.0.0.1", &port.to_string(), "+sd"])
        .arg(folder)
        .output()
        .expect("there is no storescu: apt-get install dcmtk");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

/// One way, once: images a second until the archive has all of them, and the engine's highest memory in megabytes.
fn once(images: &Images, by: In, between: Between) -> (f64, Option<u64>) {
    let orthanc = Orthanc::with(&json!({ "OverwriteInstances": true }));
    let project = Project::new();
    let (port, relais) = match between {
        Between::Nothing if by == In::Association => (orthanc.dicom, None),
        Between::Nothing => (orthanc.port, None),
        _ => {
            let (port, relais) = engine(&project, &orthanc, by, between);
            (port, Some(relais))
        }
    };
    let began = Instant::now();
    images.send(by, port);
    wait_until("all have arrived", || {
        thread::sleep(Duration::from_millis(5));
        orthanc.count() == images.count()
    });
    let rate = images.count() as f64 / began.elapsed().as_secs_f64();
    (rate, relais.map(|relais| relais.memory_peak()))
}

fn engine(project: &Project, orthanc: &Orthanc, by: In, between: Between) -> (u16, Relais) {
    let listen = free_port();
    let source = match by {
        In::Association => format!("dicom: {{ listen: \"127.0.0.1:{listen}\", ae: ORTHANC }}"),
        In::Stow => format!("dicomweb: {{ listen: \"127.0.0.1:{listen}\" }}"),
    };
    let (to, workers) = match between {
        Between::Stow => (format!("dicomweb: {{ url: \"{}\" }}", orthanc.web()), 4),
        Between::StowTogether => (format!("dicomweb: {{ url: \"{}\", together: 16 }}", orthanc.web()), 32),
        _ => (format!("dicom: {{ connect: \"127.0.0.1:{}\", called_ae: ORTHANC }}", orthanc.dicom), 4),
    };
    let steps = "steps:\n  - set: { PatientID: 'HOP-${msg[\"PatientID\"]}' }";
    let text = format!(
        "name: images\nsource:\n  {source}\n{steps}\ndestinations:\n  - name: archive\n    to:\n      {to}\n    order: none\n    workers: {workers}\n"
    );
    project.channel("images", &text);
    (listen, project.start())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() {
    let mut given = env::args().skip(1);
    let count = given.next().and_then(|word| word.parse().ok()).unwrap_or(USUAL_COUNT);
    let rounds = given.next().and_then(|word| word.parse().ok()).unwrap_or(USUAL_ROUNDS);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{count} images of {} kB, {rounds} rounds, load {}", PIXELS / 1024, load.trim());
    for senders in [1, 4] {
        let images = Images::new(count, senders);
        let (mut rates, mut peak): (BTreeMap<usize, Vec<f64>>, u64) = (BTreeMap::new(), 0);
        for _ in 0..rounds {
            for (place, (by, between)) in WAYS.into_iter().enumerate() {
                let (rate, memory) = once(&images, by, between);
                rates.entry(place).or_default().push(rate);
                peak = peak.max(memory.unwrap_or_default());
            }
        }
        let rates: Vec<f64> = rates.into_values().map(median).collect();
        for ((by, between), rate) in WAYS.into_iter().zip(&rates) {
            let share = 100.0 * rate / rates[0];
            println!(
                "{senders} senders, in by {by:?}, between {between:?}: {rate:.0}/s, {share:.0} % of storescu"
            );
        }
        println!("  the engine's highest memory: {peak} MB");
    }
}
