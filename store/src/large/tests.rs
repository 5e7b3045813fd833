//! Large bodies come back as they were kept, and leave no file that nothing speaks of.

use super::{
    stretch::{OVERLAP, STRETCH},
    *,
};

fn folder() -> (tempfile::TempDir, Arc<Large>) {
    let folder = tempfile::tempdir().unwrap();
    let large = Arc::new(Large::open(folder.path()).unwrap());
    (folder, large)
}

/// A body as a source leaves it that wrote it to a file while it came.
fn spooled(large: &Large, bytes: &[u8]) -> Content {
    let path = large.spool().join(format!("spooled.{}", large.next.fetch_add(1, Ordering::SeqCst)));
    fs::write(&path, bytes).unwrap();
    let held = HeldFile::open(&path).unwrap();
    held.disown();
    Content::in_file(Arc::new(held))
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn bytes() -> Vec<u8> {
    (0..2_000_000_u32).map(|number| (number >> 3) as u8).collect()
}

#[tokio::test]
async fn what_another_run_wrote_for_the_same_message_stays() {
    let folder = tempfile::tempdir().unwrap();
    let body = |byte: u8| Content::from(vec![byte; LARGE]);
    let mut kept = Vec::new();
    // In a container each run has the same number among the processes.
    for byte in [b'a', b'b'] {
        let large = Arc::new(Large::open(folder.path()).unwrap());
        kept.push(large.keep(7, &body(byte)).await.unwrap());
    }
    let large = Large::open(folder.path()).unwrap();
    for (byte, kept) in [b'a', b'b'].into_iter().zip(kept) {
        assert_eq!(large.read(kept).unwrap(), body(byte));
    }
}

#[tokio::test]
async fn what_was_spooled_is_taken_over_as_it_lies_and_is_in_one_file() {
    let (folder, large) = folder();
    let content = spooled(&large, &bytes());
    let body = large.keep(7, &content).await.unwrap();
    assert_eq!((count(&large.spool()), count(&folder.path().join(FOLDER))), (0, 1));
    assert!(
        matches!((&body, large.keep(7, &content).await.unwrap()), (Body::Apart(one), Body::Apart(two)) if *one == two)
    );
    let read = large.read(body).unwrap();
    assert!(Arc::ptr_eq(read.file().unwrap(), content.file().unwrap()), "it is opened once");
    drop((read, content));
    assert_eq!(count(&folder.path().join(FOLDER)), 1);
}

#[tokio::test]
async fn what_steps_made_of_it_is_its_new_bytes_and_a_place_in_the_same_file() {
    let (folder, large) = folder();
    let content = spooled(&large, &bytes());
    large.keep(7, &content).await.unwrap();
    let made = Content::of([Content::from(&b"another head"[..]), content.slice(1000..2_000_000)]).unwrap();
    let wanted = [b"another head", &bytes()[1000..]].concat();
    let body = large.keep(7, &made).await.unwrap();
    assert!(matches!(body, Body::Pieced(_)));
    assert_eq!(count(&folder.path().join(FOLDER)), 1);
    assert!(large.read(body).unwrap().whole().unwrap() == wanted);
    // Another message's would be gone with the one whose file it is.
    let body = large.keep(8, &made).await.unwrap();
    assert!(matches!(body, Body::Apart(_)));
    large.forget(|message| message == 7).unwrap();
    assert!(large.read(body).unwrap().whole().unwrap() == wanted);
    assert_eq!((count(&large.spool()), count(&folder.path().join(FOLDER))), (0, 1));
}

#[tokio::test]
async fn another_message_of_the_same_bytes_keeps_them_when_the_first_is_forgotten() {
    let (_folder, large) = folder();
    let content = spooled(&large, &bytes());
    large.keep(7, &content).await.unwrap();
    let second = large.keep(8, &content).await.unwrap();
    large.forget(|message| message == 7).unwrap();
    let third = large.keep(9, &content).await.unwrap();
    drop(content);
    for body in [second, third] {
        assert!(large.read(body).unwrap().whole().unwrap() == bytes());
    }
}

#[tokio::test]
async fn what_is_not_kept_after_all_is_gone_with_the_last_who_holds_it() {
    let (folder, large) = folder();
    let content = spooled(&large, &bytes());
    let body = large.keep(7, &content).await.unwrap();
    large.take_back(&body, &content);
    assert!(content.whole().unwrap() == bytes());
    // It may be kept after all.
    let again = large.keep(7, &content).await.unwrap();
    large.take_back(&again, &content);
    drop(content);
    assert_eq!(count(&folder.path().join(FOLDER)), 0);
    let content = Content::from(bytes());
    let body = large.keep(7, &content).await.unwrap();
    large.take_back(&body, &content);
    assert_eq!(count(&folder.path().join(FOLDER)), 0);
}

#[tokio::test]
async fn bytes_that_were_changed_are_refused_and_a_spool_is_empty_at_a_start() {
    let (folder, large) = folder();
    let Body::Apart(name) = large.keep(7, &Content::from(bytes())).await.unwrap() else {
        panic!("it is large")
    };
    let path = folder.path().join(FOLDER).join(&name);
    let mut turned = bytes();
    turned[1_000_000] ^= 1;
    fs::write(path, turned).unwrap();
    assert!(large.read(Body::Apart(name)).is_err());
    fs::write(large.spool().join("left"), b"half").unwrap();
    let large = Large::open(folder.path()).unwrap();
    assert_eq!(count(&large.spool()), 0);
}

/// All stretches of a body, put together again.
fn joined(large: &Large, body: &Body) -> Vec<u8> {
    let (mut all, mut at) = (Vec::new(), Some(0));
    while let Some(from) = at {
        let (bytes, next) = large.stretch(body, from).unwrap();
        assert!(bytes.len() <= STRETCH + OVERLAP, "{} bytes in memory", bytes.len());
        all.truncate(from as usize);
        all.extend(bytes);
        at = next;
    }
    all
}

#[tokio::test]
async fn a_body_is_read_in_stretches_each_with_the_end_of_the_one_before() {
    let (_folder, large) = folder();
    for length in [LARGE, STRETCH, STRETCH + 1, 3 * STRETCH + 7] {
        let bytes: Vec<u8> = (0..length).map(|at| b'a' + (at / 1000 % 26) as u8).collect();
        let body = large.keep(7, &Content::from(bytes.clone())).await.unwrap();
        assert!(joined(&large, &body) == bytes, "{length}");
    }
    let file = large.read(large.keep(7, &Content::from(vec![b'x'; 2 * STRETCH])).await.unwrap()).unwrap();
    let stretch = |range| Stretch::Apart { file: Arc::clone(file.file().unwrap()), range };
    let here = |text: &'static str| Stretch::Here(text.into());
    let content = Content::of_stretches(vec![
        here("begin"),
        stretch(1..STRETCH as u64),
        here("middle"),
        stretch(5..STRETCH as u64 + 9),
        here("end"),
    ]);
    let body = large.keep(7, &content).await.unwrap();
    assert!(matches!(body, Body::Pieced(_)));
    assert!(joined(&large, &body) == content.whole().unwrap());
}
