//! DICOM files of any length that are never in memory: written block by block, and looked at so.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    net::{TcpListener, TcpStream},
    path::Path,
};

use formats::dicom::Header;

use crate::Instance;

/// An instance whose pixels are blocks, each of which says which one it is.
#[derive(Debug, Clone)]
pub struct LongInstance {
    pub instance: Instance,
    /// How many blocks its pixels are.
    pub blocks: u32,
}

/// Of pixels, in bytes.
pub const BLOCK: usize = 1 << 20;

impl LongInstance {
    pub fn of(study: &str, blocks: u32) -> Self {
        Self { instance: Instance { pixels: 0, ..Instance::of(study, 1) }, blocks }
    }

    /// All before the pixels.
    fn head(&self) -> Vec<u8> {
        let mut head = self.instance.file();
        let length = head.len() - 4;
        head[length..].copy_from_slice(&((self.blocks as usize * BLOCK) as u32).to_le_bytes());
        head
    }

    pub fn length(&self) -> u64 {
        self.head().len() as u64 + u64::from(self.blocks) * BLOCK as u64
    }

    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.head())?;
        (0..self.blocks).try_for_each(|number| out.write_all(&block(number)))
    }

    pub fn write_file(&self, path: &Path) {
        let mut file = File::create(path).expect("a file can be made");
        self.write_to(&mut file).expect("it can be written");
    }

    /// Whether the file holds these pixels and no others, behind whatever header.
    pub fn is_in(&self, path: &Path) -> bool {
        let mut file = File::open(path).expect("a file can be opened");
        let Ok(header) = Header::read(&mut file) else { return false };
        let Some(pixels) = header.pixels else { return false };
        let begins = pixels + 12;
        let length = file.metadata().expect("a file has a length").len();
        if header.sop_instance != self.instance.uid
            || length != begins + u64::from(self.blocks) * BLOCK as u64
        {
            return false;
        }
        file.seek(SeekFrom::Start(begins)).expect("a file can be read from any place");
        let mut there = vec![0; BLOCK];
        (0..self.blocks).all(|number| file.read_exact(&mut there).is_ok() && there == block(number))
    }

    /// Posts it by STOW-RS; its status. Fails where whoever takes it goes away.
    pub fn post(&self, port: u16) -> io::Result<u16> {
        let mut stream = self.begin_to_post(port)?;
        self.write_to(&mut stream)?;
        stream.write_all(b"\r\n--between--\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        answer
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Stands in for an archive that has it already: says so to whoever posts it, and gives it to whoever asks. Ends with the process.
    pub fn held(&self) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let held = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who asked may have had enough.
                let _ = held.answer(stream);
            }
        });
        port
    }

    fn answer(&self, stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(&stream);
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first)?;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        io::copy(&mut reader.take(length), &mut io::sink())?;
        let mut stream = stream;
        if first.starts_with("POST") {
            let said = serde_json::json!({ "00081198": { "vr": "SQ", "Value": [{
                "00081155": { "vr": "UI", "Value": [self.instance.uid] }, "00081197": { "vr": "US", "Value": [0x0111] },
            }] } });
            let said = said.to_string();
            let head =
                "HTTP/1.1 409 Conflict\r\nConnection: close\r\nContent-Type: application/dicom+json\r\n";
            return stream
                .write_all(format!("{head}Content-Length: {}\r\n\r\n{said}", said.len()).as_bytes());
        }
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: multipart/related; type=\"application/dicom\"; boundary=b\r\n\r\n";
        stream.write_all(format!("{head}--b\r\nContent-Type: application/dicom\r\n\r\n").as_bytes())?;
        self.write_to(&mut stream)?;
        stream.write_all(b"\r\n--b--\r\n")
    }

    /// Posts the first half of it, and keeps the connection.
    pub fn post_half(&self, port: u16) -> io::Result<TcpStream> {
        let mut stream = self.begin_to_post(port)?;
        stream.write_all(&self.head())?;
        (0..self.blocks / 2).try_for_each(|number| stream.write_all(&block(number)))?;
        Ok(stream)
    }

    fn begin_to_post(&self, port: u16) -> io::Result<TcpStream> {
        let around = "--between\r\nContent-Type: application/dicom\r\n\r\n";
        let length = around.len() as u64 + self.length() + "\r\n--between--\r\n".len() as u64;
        let head = format!(
            "POST /dicom-web/studies HTTP/1.1\r\nHost: relais\r\nConnection: close\r\nContent-Length: {length}\r\n\
             Content-Type: multipart/related; type=\"application/dicom\"; boundary=between\r\n\r\n{around}"
        );
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(head.as_bytes())?;
        Ok(stream)
    }
}

fn block(number: u32) -> Vec<u8> {
    let mut block = vec![number as u8; BLOCK];
    block[..4].copy_from_slice(&number.to_be_bytes());
    block
}
