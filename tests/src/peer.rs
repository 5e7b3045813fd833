//! The other side of an MLLP connection: one that sends and one that receives. Written without the product's own framing.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::web;

/// Puts a message into its envelope.
pub fn frame(message: &[u8]) -> Vec<u8> {
    [b"\x0b", message, b"\x1c\r"].concat()
}

/// A small ORU with this control id and patient.
pub fn message(control_id: &str, patient: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|ANALYSER|LAB|RECORD|WARD|20260301080000||ORU^R01^ORU_R01|{control_id}|P|2.5\r\
         PID|1||{patient}^^^LAB^PI||EXAMPLE^ANNA||19800101|F\r\
         OBR|1|O{control_id}||2823-3^Potassium^LN|||20260301075500\r\
         OBX|1|NM|2823-3^Potassium^LN||4.1|mmol/L|3.5-5.1|N|||F\r"
    )
    .into_bytes()
}

/// One field of a segment of an answer, `MSA` 1 for the code. Empty when it is not there.
pub fn mshfield(message: &[u8], segment: &str, field: usize) -> String {
    let text = String::from_utf8_lossy(message);
    let line = text.split('\r').find(|line| line.starts_with(segment)).unwrap_or_default();
    let field = if segment == "MSH" { field - 1 } else { field };
    line.split('|').nth(field).unwrap_or_default().to_owned()
}

/// A connection that sends and reads what comes back.
pub struct Sender {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Sender {
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Sends one message and waits for one answer.
    pub fn send(&mut self, message: &[u8]) -> io::Result<Vec<u8>> {
        self.write(&frame(message))?;
        self.answer()
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub fn wait_at_most(&self, limit: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(limit))
    }

    /// Says that nothing more comes, and reads what still does: everything that was not read yet.
    pub fn hang_up(mut self) -> io::Result<Vec<u8>> {
        self.stream.shutdown(Shutdown::Write)?;
        self.stream.read_to_end(&mut self.read)?;
        Ok(self.read)
    }

    /// Whether something came that was not read yet. Does not wait.
    pub fn has_heard(&mut self) -> io::Result<bool> {
        self.stream.set_nonblocking(true)?;
        let mut byte = [0];
        let peeked = self.stream.peek(&mut byte);
        self.stream.set_nonblocking(false)?;
        Ok(!self.read.is_empty() || peeked.is_ok_and(|length| length > 0))
    }

    /// Reads the next answer.
    pub fn answer(&mut self) -> io::Result<Vec<u8>> {
        read_frame(&mut self.stream, &mut self.read)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// How a receiver behaves.
#[derive(Clone)]
pub enum Behaviour {
    /// Answers with this code.
    Code(&'static str),
    /// Answers a request of HTTP with this status.
    Status(u16),
    /// Answers with this code and another message's id.
    WrongId,
    /// Takes the message and closes the connection.
    Cut,
    /// Takes the message and says nothing.
    Silent,
    /// Answers AA, but only once the next message has come on the same connection.
    Late,
}

/// A listener that keeps what it was sent, in order.
pub struct Receiver {
    pub port: u16,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    manner: Arc<Mutex<VecDeque<Behaviour>>>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    stopping: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Receiver {
    pub fn start(behaviour: Behaviour) -> Self {
        Self::listen(0, behaviour)
    }

    /// Listens on a given port: a peer that comes back.
    pub fn listen(port: u16, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a receiver can listen");
        let port = listener.local_addr().expect("a listener has an address").port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let manner = Arc::new(Mutex::new(VecDeque::from([behaviour])));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let accepting = std::thread::spawn({
            let (received, manner) = (Arc::clone(&received), Arc::clone(&manner));
            let (connections, stopping) = (Arc::clone(&connections), Arc::clone(&stopping));
            move || {
                while let Ok((mut stream, _)) = listener.accept() {
                    if stopping.load(Ordering::SeqCst) {
                        return;
                    }
                    connections.lock().unwrap().extend(stream.try_clone());
                    let (received, manner) = (Arc::clone(&received), Arc::clone(&manner));
                    // A peer that is cut is what these tests are about.
                    std::thread::spawn(move || {
                        let _ = serve(&mut stream, &received, &manner);
                        stream.shutdown(Shutdown::Both)
                    });
                }
            }
        });
        Self { port, received, manner, connections, stopping, accepting: Some(accepting) }
    }

    pub fn behave(&self, behaviour: Behaviour) {
        self.behave_in_turn([behaviour]);
    }

    /// Behaves so to one message after the other; to all that follow as to the last.
    pub fn behave_in_turn(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        *self.manner.lock().unwrap() = behaviours.into_iter().collect();
    }

    /// How often somebody has connected.
    pub fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.received.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        // A peer that goes takes its connections with it.
        for stream in self.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn serve(
    stream: &mut TcpStream,
    received: &Mutex<Vec<Vec<u8>>>,
    manner: &Mutex<VecDeque<Behaviour>>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    stream.peek(&mut first)?;
    if first[0].is_ascii_uppercase() {
        return serve_web(stream, received, manner);
    }
    let mut read = Vec::new();
    let mut late = Vec::new();
    while let Some(message) = read_frame(stream, &mut read)? {
        let id = mshfield(&message, "MSH", 10);
        received.lock().unwrap().push(message);
        stream.write_all(&std::mem::take(&mut late))?;
        let (code, id) = match next(manner) {
            Behaviour::Code(code) => (code, id),
            Behaviour::WrongId => ("AA", format!("not-{id}")),
            Behaviour::Cut | Behaviour::Status(_) => return Ok(()),
            Behaviour::Silent => continue,
            Behaviour::Late => {
                late = frame(acknowledgement("AA", &id).as_bytes());
                continue;
            }
        };
        stream.write_all(&frame(acknowledgement(code, &id).as_bytes()))?;
    }
    Ok(())
}

/// The same for one that sends by HTTP; what is not a status and not silence is 200.
fn serve_web(
    stream: &mut TcpStream,
    received: &Mutex<Vec<Vec<u8>>>,
    manner: &Mutex<VecDeque<Behaviour>>,
) -> io::Result<()> {
    let mut read = Vec::new();
    while let Some(body) = web::read_request(stream, &mut read)? {
        received.lock().unwrap().push(body);
        let status = match next(manner) {
            Behaviour::Status(status) => status,
            Behaviour::Code(_) | Behaviour::WrongId | Behaviour::Late => 200,
            Behaviour::Cut => return Ok(()),
            Behaviour::Silent => continue,
        };
        stream.write_all(web::response(status).as_bytes())?;
    }
    Ok(())
}

fn acknowledgement(code: &str, id: &str) -> String {
    format!("MSH|^~\\&|RECORD|WARD|ANALYSER|LAB|20260301080001||ACK|A{id}|P|2.5\rMSA|{code}|{id}\r")
}

fn next(manner: &Mutex<VecDeque<Behaviour>>) -> Behaviour {
    let mut manner = manner.lock().unwrap();
    let first = manner.front().cloned().unwrap_or(Behaviour::Silent);
    if manner.len() > 1 {
        manner.pop_front();
    }
    first
}

/// The next frame, or `None` once the peer has closed between two.
fn read_frame(stream: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut chunk = vec![0; 65536];
    loop {
        if let Some(end) = read.windows(2).position(|two| two == b"\x1c\r") {
            let rest = read.split_off(end + 2);
            let framed = std::mem::replace(read, rest);
            let start = framed.iter().position(|byte| *byte == 0x0b).map_or(0, |at| at + 1);
            return Ok(Some(framed[start..end].to_vec()));
        }
        let length = read_some(stream, &mut chunk)?;
        if length == 0 {
            return if read.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        read.extend_from_slice(&chunk[..length]);
    }
}

/// Reads what is there. A machine that stood still for a moment interrupts a read that has a time limit.
pub(crate) fn read_some(from: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
