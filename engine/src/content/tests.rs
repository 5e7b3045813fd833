//! Bodies in memory, in files and pieced together say the same of themselves.

use std::io::{Read, Seek, SeekFrom};

use super::*;

fn in_file(folder: &std::path::Path, name: &str, bytes: &[u8]) -> Content {
    std::fs::write(folder.join(name), bytes).unwrap();
    Content::in_file(Arc::new(HeldFile::open(&folder.join(name)).unwrap()))
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("relais-content-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_body_is_the_same_wherever_it_lies() {
    let folder = folder("same");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number.wrapping_mul(7919) >> 8) as u8).collect();
    let file = in_file(&folder, "a", &bytes);
    let pieced = Content::of([
        Content::from(bytes[..1000].to_vec()),
        file.slice(1000..2_000_000),
        Content::from(bytes[2_000_000..].to_vec()),
    ])
    .unwrap();
    assert!(pieced.bytes().is_none() && file.bytes().is_none());
    for content in [Content::from(bytes.clone()), file.clone(), pieced.clone(), pieced.slice(0..3_000_000)] {
        assert_eq!((content.len(), content.hash()), (bytes.len(), Hash::of(&[&bytes])));
        assert!(content.whole().unwrap() == bytes);
        assert!(content.slice(500..1_500_000).whole().unwrap() == bytes[500..1_500_000]);
        let mut reader = content.reader();
        let mut few = [0; 10];
        reader.seek(SeekFrom::Start(1_999_995)).unwrap();
        reader.read_exact(&mut few).unwrap();
        assert_eq!(few, bytes[1_999_995..2_000_005]);
        let (mut stream, mut came) = (content.stream(), Vec::new());
        while let Some(piece) = stream.next().await.unwrap() {
            came.extend_from_slice(&piece);
        }
        assert!(came == bytes);
    }
    assert_eq!(file, Content::from(bytes));
    assert_eq!(pieced, pieced.slice(0..3_000_000));
    assert_ne!(pieced, file.slice(0..2_999_999));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_short_is_joined_and_what_is_too_long_is_not_read_whole() {
    let folder = folder("long");
    let few = in_file(&folder, "few", b"12345678");
    let joined = Content::of([few.slice(2..4), Content::from(&b"-"[..]), few.slice(0..1)]).unwrap();
    assert_eq!(joined.bytes().unwrap(), "34-1");
    let file = std::fs::File::create(folder.join("huge")).unwrap();
    file.set_len(LONGEST_WHOLE as u64 + 1).unwrap();
    drop(file);
    let hash = Hash([0; 32]);
    let file = std::fs::File::open(folder.join("huge")).unwrap();
    let huge = HeldFile::written(folder.join("huge"), file, (LONGEST_WHOLE as u64 + 1, hash));
    let huge = Content::in_file(Arc::new(huge));
    assert!(huge.whole().unwrap_err().to_string().contains("536870913 bytes"));
    assert!(huge.weight() < LONG && huge.head(4).unwrap() == "\0\0\0\0"[..]);
    drop(huge);
    assert!(!folder.join("huge").exists(), "nobody adopted it");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_that_is_adopted_stays_and_can_be_read_when_its_name_is_gone() {
    let folder = folder("adopted");
    std::fs::write(folder.join("a"), b"bytes").unwrap();
    let file = std::fs::File::open(folder.join("a")).unwrap();
    let held = Arc::new(HeldFile::written(folder.join("a"), file, (5, Hash::of(&[b"bytes"]))));
    assert!(held.adopt(&folder.join("b")).unwrap() && !held.adopt(&folder.join("c")).unwrap());
    assert_eq!(held.path(), folder.join("b"));
    std::fs::remove_file(folder.join("b")).unwrap();
    assert_eq!(Content::in_file(held).whole().unwrap(), "bytes");
    std::fs::remove_dir_all(folder).unwrap();
}
