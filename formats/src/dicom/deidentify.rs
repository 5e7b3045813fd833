//! De-identification by the basic profile of part 15, annex E: its table, and what its actions do to an instance.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use jiff::{ToSpan, civil::Date};

use super::{
    charset::CharacterSet,
    dictionary::{self, tag_of},
    instance::{AccessError, Instance},
    keyed::Keyed,
    level::{Held, Item, Level, Node},
    path::Path,
    syntax::Encoding,
    tag::{Tag, tags},
    uid::is_uid,
    value::{Manner, ValueError},
    vr::Vr,
};

/// Table E.1-1: tags, those that repeat with `x`, and the action of the basic profile.
static PROFILE: LazyLock<Profile> = LazyLock::new(|| Profile::read(include_str!("profile.tsv")));

/// What text stands where one must.
const DUMMY: &str = "ANONYMIZED";
/// Dates go back by so many days at most.
const FURTHEST: u128 = 3650;

/// How an instance is de-identified.
#[derive(Clone)]
pub struct Deidentification {
    keyed: Keyed,
    pub dates: Dates,
    pub uids: Uids,
    pub patient: Patient,
    /// Elements that are left as they are, whatever the profile says.
    pub keep: BTreeSet<Tag>,
}

/// What becomes of dates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dates {
    /// As the basic profile says.
    #[default]
    Remove,
    /// All of a patient's go back by the same number of days; times of day stay.
    Shift,
}

/// What becomes of UIDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uids {
    /// Each becomes another one, always the same.
    #[default]
    Map,
    Keep,
}

/// What stands where the patient's name and number stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patient {
    /// Nothing.
    #[default]
    Empty,
    /// A word made of the number and its issuer, always the same.
    Pseudonym,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Remove,
    Empty,
    Dummy,
    Uid,
    /// Dates and times that are only moved.
    Shift,
    /// What the profile does not name: looked into where it is a sequence.
    Keep,
}

struct Profile {
    tags: HashMap<u32, Action>,
    repeating: Vec<(u32, u32)>,
}

impl Profile {
    fn read(table: &str) -> Self {
        let mut profile = Self { tags: HashMap::new(), repeating: Vec::new() };
        for (digits, action) in table.lines().filter_map(|line| line.split_once('\t')) {
            let hexadecimal = |text: String| u32::from_str_radix(&text, 16).expect("the table holds tags");
            let tag = hexadecimal(digits.replace('x', "0"));
            if digits.contains('x') {
                let mask = |digit| if digit == 'x' { '0' } else { 'F' };
                profile.repeating.push((hexadecimal(digits.chars().map(mask).collect()), tag));
            } else {
                profile.tags.insert(tag, action_of(action));
            }
        }
        profile
    }

    fn action(&self, tag: Tag) -> Action {
        if tag.is_private() || self.repeating.iter().any(|(mask, repeats)| tag.0 & mask == *repeats) {
            return Action::Remove;
        }
        self.tags.get(&tag.0).copied().unwrap_or(Action::Keep)
    }
}

/// Where the profile leaves a choice to what the kind of instance needs, that is taken which is right for all kinds.
fn action_of(written: &str) -> Action {
    match written {
        "X" => Action::Remove,
        "Z" | "X/Z" => Action::Empty,
        "U" | "X/Z/U*" => Action::Uid,
        _ => Action::Dummy,
    }
}

impl Deidentification {
    /// The basic profile, under a key.
    pub fn new(key: &[u8]) -> Self {
        Self {
            keyed: Keyed::new(key),
            dates: Dates::default(),
            uids: Uids::default(),
            patient: Patient::default(),
            keep: BTreeSet::new(),
        }
    }

    /// De-identifies an instance. Pixels are not looked at: what is burned into them stays.
    pub fn apply(&self, instance: &mut Instance) -> Result<(), AccessError> {
        let whose = whose(instance);
        let mut work = Work { profile: self, instance: &instance.clone(), days: self.days(&whose) };
        let charset = instance.charset(&instance.level)?.unwrap_or_default();
        let mut level = Level::clone(&instance.level);
        work.level(&mut level, &charset)?;
        instance.level = Arc::new(level);
        instance.clear_head()?;
        instance.is_changed = true;
        self.tell(instance, &whose)
    }

    fn days(&self, whose: &str) -> i64 {
        (self.keyed.number("days", whose) % FURTHEST) as i64 + 1
    }

    /// Writes what the profile asks to be said of it.
    fn tell(&self, instance: &mut Instance, whose: &str) -> Result<(), AccessError> {
        let mut set = |keyword: &str, text: &str| {
            instance.set(&Path::parse(keyword).expect("the standard knows it"), text)
        };
        if self.patient == Patient::Pseudonym {
            let word = format!("P{:016X}", (self.keyed.number("patient", whose) >> 64) as u64);
            for keyword in ["PatientID", "PatientName"] {
                if !tag_of(keyword).is_some_and(|tag| self.keep.contains(&tag)) {
                    set(keyword, &word)?;
                }
            }
        }
        set("PatientIdentityRemoved", "YES")?;
        set("DeidentificationMethod", "DICOM PS3.15 Basic Application Confidentiality Profile")?;
        let mut codes = vec![("113100", "Basic Application Confidentiality Profile")];
        if self.dates == Dates::Shift {
            codes.push(("113107", "Retain Longitudinal Temporal Information Modified Dates Option"));
        }
        if self.uids == Uids::Keep {
            codes.push(("113110", "Retain UIDs Option"));
        }
        for (place, (code, meaning)) in (1..).zip(codes) {
            let item = format!("DeidentificationMethodCodeSequence[{place}]");
            set(&format!("{item}.CodeValue"), code)?;
            set(&format!("{item}.CodingSchemeDesignator"), "DCM")?;
            set(&format!("{item}.CodeMeaning"), meaning)?;
        }
        let dates = if self.dates == Dates::Shift { "MODIFIED" } else { "REMOVED" };
        set("LongitudinalTemporalInformationModified", dates)
    }
}

struct Work<'a> {
    profile: &'a Deidentification,
    instance: &'a Instance,
    days: i64,
}

impl Work<'_> {
    fn level(&mut self, level: &mut Level, charset: &CharacterSet) -> Result<(), AccessError> {
        let encoding = level.encoding;
        let own = self.instance.charset(level)?;
        let charset = own.as_ref().unwrap_or(charset);
        let mut kept = Vec::with_capacity(level.nodes.len());
        for mut node in std::mem::take(&mut level.nodes) {
            // A group's length is not true any more.
            let is_length = node.tag.number() == 0;
            let action = self.action(&node, encoding);
            if is_length || action == Action::Remove {
                continue;
            }
            self.act(action, &mut node, encoding, charset)?;
            kept.push(node);
        }
        level.nodes = kept;
        Ok(())
    }

    fn action(&self, node: &Node, encoding: Encoding) -> Action {
        if self.profile.keep.contains(&node.tag) {
            return Action::Keep;
        }
        let is_date = matches!(&node.vr.0, b"DA" | b"DT" | b"TM") && !is_of_birth(node.tag);
        match PROFILE.action(node.tag) {
            // One number for all would make one patient of them.
            Action::Dummy if node.tag == tags::PATIENT_ID => Action::Empty,
            Action::Uid if self.profile.uids == Uids::Keep => Action::Keep,
            Action::Keep if is_dark(node, encoding) => Action::Remove,
            Action::Keep => Action::Keep,
            _ if is_date && self.profile.dates == Dates::Shift && !node.tag.is_private() => Action::Shift,
            action => action,
        }
    }

    fn act(
        &mut self,
        action: Action,
        node: &mut Node,
        encoding: Encoding,
        charset: &CharacterSet,
    ) -> Result<(), AccessError> {
        let is_sequence = node.items_encoding(encoding).is_some();
        let new = match action {
            Action::Empty => Some(String::new()),
            Action::Dummy if is_sequence => Some(String::new()),
            Action::Uid | Action::Keep if is_sequence => return self.items(node, encoding, charset),
            Action::Dummy if node.vr == Vr::UI => Some(self.uids(node)?),
            Action::Dummy => Some(dummy(node.vr).to_owned()),
            Action::Uid => Some(self.uids(node)?),
            Action::Shift => Some(self.shifted(node)?),
            Action::Keep | Action::Remove => None,
        };
        let Some(text) = new else { return Ok(()) };
        if is_sequence {
            node.vr = Vr::SQ;
            node.held = Held::Items { items: Vec::new(), is_open: false };
            return Ok(());
        }
        let manner = Manner { vr: node.vr, encoding, charset: &CharacterSet::default() };
        let is_bytes = !node.vr.is_text() && node.vr.width().is_none();
        let value = if is_bytes && !text.is_empty() {
            vec![0; 2]
        } else {
            manner.write(&text).map_err(|error| AccessError::Value(Path::to(node.tag), error))?
        };
        node.held = Held::Written(value.into());
        Ok(())
    }

    fn items(
        &mut self,
        node: &mut Node,
        encoding: Encoding,
        charset: &CharacterSet,
    ) -> Result<(), AccessError> {
        let within = node.items_encoding(encoding).unwrap_or(encoding);
        let is_open = node.is_open();
        let mut items = node.items(&mut self.instance.window())?;
        for item in &mut items {
            let mut level = Level::clone(&*item.level(&mut self.instance.window(), within)?);
            self.level(&mut level, charset)?;
            let is_open = item.is_open();
            *item = Item::Changed { level: Arc::new(level), is_open };
        }
        node.held = Held::Items { items, is_open };
        Ok(())
    }

    fn text(&self, node: &Node) -> Result<String, AccessError> {
        let value = self.instance.value(node)?;
        Ok(String::from_utf8_lossy(&value).trim_end_matches(['\0', ' ']).to_owned())
    }

    fn uids(&self, node: &Node) -> Result<String, AccessError> {
        let text = self.text(node)?;
        let mapped = text.split('\\').map(|uid| match uid.trim() {
            "" => String::new(),
            // UIDs of the standard itself name no instance.
            uid if uid.starts_with("1.2.840.10008.") => uid.to_owned(),
            uid => self.profile.keyed.uid(uid),
        });
        Ok(mapped.collect::<Vec<_>>().join("\\"))
    }

    /// Dates so many days back; times of day as they are. What is no date becomes none.
    fn shifted(&self, node: &Node) -> Result<String, AccessError> {
        let text = self.text(node)?;
        if node.vr.0 == *b"TM" {
            return Ok(if text.bytes().all(|byte| b"0123456789.\\ ".contains(&byte)) {
                text
            } else {
                String::new()
            });
        }
        let values = text.split('\\').map(|value| shift(value.trim(), self.days).unwrap_or_default());
        Ok(values.collect::<Vec<_>>().join("\\"))
    }
}

/// The days before a date, and what follows it; a month or a year alone stand for their first day.
fn shift(value: &str, days: i64) -> Option<String> {
    // `2026.03.01` is how the first editions of the standard wrote it.
    let value = if value.get(4..5) == Some(".") && value.len() == 10 {
        value.replace('.', "")
    } else {
        value.to_owned()
    };
    let number =
        |range: std::ops::Range<usize>| value.get(range).and_then(|digits| digits.parse::<i16>().ok());
    let date =
        Date::new(number(0..4)?, number(4..6).unwrap_or(1) as i8, number(6..8).unwrap_or(1) as i8).ok()?;
    let date = date.checked_sub(days.days()).ok()?;
    let behind = value.get(8..).unwrap_or_default();
    let is_time = behind.bytes().all(|byte| b"0123456789.+-".contains(&byte));
    Some(format!("{}{}", date.strftime("%Y%m%d"), if is_time { behind } else { "" }))
}

/// What nobody can look into: elements that the standard does not know, and sequences that are written as mere bytes.
fn is_dark(node: &Node, encoding: Encoding) -> bool {
    match dictionary::vr_of(node.tag) {
        Vr::UN => true,
        Vr::SQ => node.items_encoding(encoding).is_none(),
        _ => false,
    }
}

fn is_of_birth(tag: Tag) -> bool {
    matches!(tag.0, 0x0010_0030 | 0x0010_0032 | 0x0010_0033..=0x0010_0035)
}

fn dummy(vr: Vr) -> &'static str {
    match &vr.0 {
        b"DA" => "19000101",
        b"DT" => "19000101000000",
        b"TM" => "000000",
        b"AS" => "000Y",
        b"IS" | b"DS" | b"US" | b"SS" | b"UL" | b"SL" | b"FL" | b"FD" | b"SV" | b"UV" => "0",
        b"AT" => "(0000,0000)",
        b"UR" => "urn:anonymized",
        _ => DUMMY,
    }
}

impl Instance {
    /// Takes away what the head of the file tells beside the instance: where it came from, and what may stand before it.
    /// What names the instance by no UID would make a file that nobody can read.
    fn clear_head(&mut self) -> Result<(), AccessError> {
        let uid = self.level.find(tags::SOP_INSTANCE).and_then(|node| self.value(node).ok());
        let is_name = |uid: &Bytes| {
            let text = std::str::from_utf8(uid).map(|text| text.trim_end_matches(['\0', ' ']));
            text.is_ok_and(|text| text.is_empty() || is_uid(text))
        };
        if uid.as_ref().is_some_and(|uid| !is_name(uid)) {
            return Err(AccessError::Value(Path::to(tags::SOP_INSTANCE), ValueError::NotUid));
        }
        let meta = Arc::make_mut(&mut self.meta);
        let is_technical = |node: &Node| node.tag.number() <= 0x0013;
        meta.nodes.retain(is_technical);
        self.has_preamble = false;
        if let Some(uid) = uid {
            self.tell_meta(tags::SOP_INSTANCE, &uid);
        }
        Ok(())
    }
}

/// Whose instance it is, for what is the same of all of a patient's. Without a number, each study is somebody's of its own.
fn whose(instance: &Instance) -> String {
    let text = |keyword: &str| {
        let path = Path::parse(keyword).expect("the standard knows it");
        instance.get(&path).unwrap_or_default()
    };
    let number = text("PatientID");
    if number.is_empty() {
        return format!("study {}", text("StudyInstanceUID"));
    }
    format!("{number}\\{}", text("IssuerOfPatientID"))
}
