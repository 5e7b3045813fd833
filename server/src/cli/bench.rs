//! `relais bench`: measures this binary on this machine.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use super::{
    Complaint, Ending, Exit, Format, say, say_json,
    send::{Flood, Wire},
};
use crate::terminal::{lasting, sized};

/// Measure this binary on this machine: start, memory, and messages per second over MLLP.
///
/// Starts a server of its own in a temporary folder, on free ports of this machine, and sends it messages with made-up
/// content: each kept on disk before it is answered.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Messages for each measure
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    #[arg(long, value_name = "C", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Where the store lies for as long as it is measured; its disk decides
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// 1,3 KB as an analyser sends it; every name and number is made up.
const MESSAGE: &str = include_str!("bench.hl7");

/// How long a start may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn run(arguments: &Arguments) -> Ending {
    let folder = Folder::make(arguments.folder.as_deref())?;
    let ports = [free_port().await?, free_port().await?];
    write_project(&folder.0, ports).map_err(|error| wrong("cannot write the measured project", &error))?;
    let binary = std::env::current_exe().map_err(|error| wrong("cannot find this binary", &error))?;
    let mut server = Server::start(&binary, &folder.0, ports[0]).await?;
    let memory = server.memory();
    let mut report = json!({
        "relais": env!("CARGO_PKG_VERSION"),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "hardware": hardware(),
        "binary_bytes": fs::metadata(&binary).map_or(0, |file| file.len()),
        "start_to_listening_seconds": server.started_in.as_secs_f64(),
        "idle_memory_bytes": memory,
        "messages": arguments.count,
        "message_bytes": MESSAGE.len(),
    });
    let measures = [("one_connection", ports[0], 1), ("stored", ports[0], 0), ("processed", ports[1], 0)];
    for (name, port, connections) in measures {
        let connections = if connections == 0 { arguments.connections } else { connections };
        // One connection waits for each answer: fewer messages tell as much.
        let count = if connections == 1 { arguments.count.div_ceil(10) } else { arguments.count };
        report[name] = pour(port, count, connections).await?;
        report[name]["connections"] = connections.into();
    }
    report["memory_after_bytes"] = server.memory().into();
    server.stop().await;
    match arguments.format {
        Format::Json => say_json(&report),
        Format::Text => say(told(&report)),
    }
    Ok(Exit::Done)
}

async fn pour(port: u16, count: u64, connections: u16) -> Result<Value, Complaint> {
    let wire = Wire::new(&format!("127.0.0.1:{port}"), Duration::from_mins(1), None)?;
    let messages = vec![Bytes::from_static(MESSAGE.as_bytes())];
    let mut measure = Flood { messages, count, connections }.pour(&wire).await;
    if measure.all_accepted() {
        return Ok(measure.as_json());
    }
    Err(Complaint::wrong(format!(
        "the measure does not count, not every answer was AA\n{}",
        measure.report()
    )))
}

/// A folder that goes when the measure ends.
struct Folder(PathBuf);

impl Folder {
    fn make(within: Option<&Path>) -> Result<Self, Complaint> {
        let within = within.map_or_else(std::env::temp_dir, Path::to_owned);
        let path = within.join(format!("relais-bench-{}", std::process::id()));
        fs::create_dir_all(&path)
            .map_err(|error| wrong(&format!("cannot make {}", path.display()), &error))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write_project(folder: &Path, [stored, processed]: [u16; 2]) -> std::io::Result<()> {
    fs::create_dir_all(folder.join("channels"))?;
    fs::write(
        folder.join("relais.yaml"),
        "listen: 127.0.0.1:0\nreload: on_command\nlog: { level: error }\n",
    )?;
    let stored = format!(
        "name: stored\nsource:\n  mllp: {{ listen: \"127.0.0.1:{stored}\" }}\nreply: stored\ndestinations: []\n"
    );
    fs::write(folder.join("channels/stored.yaml"), stored)?;
    let processed = format!(
        "name: processed\nsource:\n  mllp: {{ listen: \"127.0.0.1:{processed}\" }}\nreply: processed\nsteps:\n  \
         - filter: msg[\"MSH-9.1\"] == \"ORU\"\n  - set: {{ PID-3.4: HOP }}\ndestinations:\n  - name: out\n    to:\n      \
         file: {{ dir: out, name: all.hl7, append: true }}\n"
    );
    fs::write(folder.join("channels/processed.yaml"), processed)
}

/// The measured server; killed when the measure is cut short.
struct Server {
    child: Child,
    started_in: Duration,
}

impl Server {
    /// Starts it, and waits until it takes connections.
    async fn start(binary: &Path, folder: &Path, port: u16) -> Result<Self, Complaint> {
        let mut command = Command::new(binary);
        command.arg("run").arg(folder).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let began = Instant::now();
        let mut child = command.spawn().map_err(|error| wrong("cannot start the measured server", &error))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        while TcpStream::connect(address).await.is_err() {
            if began.elapsed() > PATIENCE || matches!(child.try_wait(), Ok(Some(_))) {
                return Err(Complaint::wrong("the measured server did not start"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let started_in = began.elapsed();
        await_serving(&mut child).await;
        Ok(Self { child, started_in })
    }

    /// Memory that is really its own or shared, in bytes.
    fn memory(&self) -> u64 {
        let status = self.child.id().and_then(|id| fs::read_to_string(format!("/proc/{id}/status")).ok());
        let resident = status.as_deref().and_then(|status| field(status, "VmRSS:"));
        resident.and_then(|words| words.trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
    }

    async fn stop(&mut self) {
        let id =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = tokio::time::timeout(PATIENCE, self.child.wait()).await;
    }
}

/// Reads what it says until it serves, so that memory is looked at when all is open.
async fn await_serving(child: &mut Child) {
    let Some(output) = child.stdout.take() else { return };
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with("serving") {
            break;
        }
    }
    // Kept open, so that what it says at its end has somewhere to go.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
}

async fn free_port() -> Result<u16, Complaint> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let port = listener.and_then(|listener| listener.local_addr()).map(|address| address.port());
    port.map_err(|error| wrong("this machine gives no port", &error))
}

fn hardware() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    json!({
        "processor": field(&cpu, "model name").map(|name| name.trim_start_matches([' ', '\t', ':'])),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory": field(&memory, "MemTotal:"),
        "system": read("/proc/sys/kernel/osrelease").trim(),
    })
}

/// What stands behind a name in a file of `/proc`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn told(report: &Value) -> String {
    let hardware = &report["hardware"];
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let bytes = |name: &str| sized(report[name].as_u64().unwrap_or(0));
    let start = Duration::from_secs_f64(report["start_to_listening_seconds"].as_f64().unwrap_or(0.0));
    let mut text = format!(
        "relais {}, {} build\n{} cores of {}, {}, Linux {}\n\n",
        word(&report["relais"]),
        word(&report["build"]),
        hardware["cores"],
        word(&hardware["processor"]),
        word(&hardware["memory"]),
        word(&hardware["system"])
    );
    let _ = writeln!(text, "start to listening    {}", lasting(start));
    let _ = writeln!(text, "memory, idle          {}", bytes("idle_memory_bytes"));
    let _ = writeln!(text, "memory, afterwards    {}", bytes("memory_after_bytes"));
    let _ = writeln!(text, "binary                {}\n", bytes("binary_bytes"));
    let _ = writeln!(text, "MLLP, messages of {}, each on disk before its answer:", bytes("message_bytes"));
    for (name, what) in [
        ("one_connection", "stored, one at a time"),
        ("stored", "stored"),
        ("processed", "filter, set, queued to a file"),
    ] {
        text.push_str(&rate_line(&report[name], what));
    }
    text.push_str("\nThe sender runs on the same machine and takes its share of the processor.\n");
    text
}

fn rate_line(measure: &Value, what: &str) -> String {
    let time = |name: &str| {
        lasting(Duration::from_secs_f64(measure["milliseconds"][name].as_f64().unwrap_or(0.0) / 1e3))
    };
    let connections = measure["connections"].as_u64().unwrap_or(0);
    let rate = measure["rate"].as_f64().unwrap_or(0.0);
    let (half, most) = (time("p50"), time("p99"));
    format!("  {what:<30} {connections:>3} connections  {rate:>7.0}/s   half within {half}, 99 % {most}\n")
}

fn wrong(doing: &str, error: &std::io::Error) -> Complaint {
    Complaint::wrong(format!("{doing}: {error}"))
}
