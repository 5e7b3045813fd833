//! An instance as it shall be written: stretches of what it was, and new bytes between them.

use bytes::Bytes;

use super::{
    level::{Held, Item, Level, Node},
    source::Piece,
    syntax::Encoding,
    tag::{Tag, tags},
    vr::Vr,
};

const OPEN: u32 = u32::MAX;

/// Writes elements side by side.
pub(crate) fn level(level: &Level, pieces: &mut Vec<Piece>) {
    for node in &level.nodes {
        self::node(node, level.encoding, pieces);
    }
}

fn node(node: &Node, encoding: Encoding, pieces: &mut Vec<Piece>) {
    match &node.held {
        Held::Kept { element, ends } => Piece::push(pieces, Piece::Kept(element.at..*ends)),
        Held::Written(value) => {
            Piece::push(pieces, Piece::Written(head(node, encoding, value.len() as u32)));
            Piece::push(pieces, Piece::Written(value.clone()));
        }
        Held::Items { items, is_open } => {
            let within = node.items_encoding(encoding).unwrap_or(encoding);
            let mut inner = Vec::new();
            for one in items {
                item(one, within, &mut inner);
            }
            let length: u64 = inner.iter().map(Piece::length).sum();
            // What is too long to be told is ended by a mark.
            let told =
                if *is_open { None } else { u32::try_from(length).ok().filter(|length| *length != OPEN) };
            Piece::push(pieces, Piece::Written(head(node, encoding, told.unwrap_or(OPEN))));
            extend(pieces, inner);
            if told.is_none() {
                Piece::push(pieces, Piece::Written(mark(tags::SEQUENCE_END, 0, within)));
            }
        }
    }
}

fn item(item: &Item, encoding: Encoding, pieces: &mut Vec<Piece>) {
    match item {
        Item::Kept { at, behind, .. } => Piece::push(pieces, Piece::Kept(*at..*behind)),
        Item::Changed { level, is_open } => {
            let mut inner = Vec::new();
            self::level(level, &mut inner);
            let length: u64 = inner.iter().map(Piece::length).sum();
            let told =
                if *is_open { None } else { u32::try_from(length).ok().filter(|length| *length != OPEN) };
            Piece::push(pieces, Piece::Written(mark(tags::ITEM, told.unwrap_or(OPEN), encoding)));
            extend(pieces, inner);
            if told.is_none() {
                Piece::push(pieces, Piece::Written(mark(tags::ITEM_END, 0, encoding)));
            }
        }
    }
}

fn extend(pieces: &mut Vec<Piece>, more: Vec<Piece>) {
    for piece in more {
        Piece::push(pieces, piece);
    }
}

fn head(node: &Node, encoding: Encoding, length: u32) -> Bytes {
    let mut head = tag(node.tag, encoding);
    if !encoding.is_explicit {
        head.extend(encoding.write_u32(length));
        return head.into();
    }
    // A value that its kind cannot tell the length of is written as one of an unknown kind.
    let vr = if node.vr.is_long() || u16::try_from(length).is_ok() { node.vr } else { Vr::UN };
    head.extend(vr.0);
    if vr.is_long() {
        head.extend([0, 0]);
        head.extend(encoding.write_u32(length));
    } else {
        head.extend(encoding.write_u16(length as u16));
    }
    head.into()
}

fn mark(of: Tag, length: u32, encoding: Encoding) -> Bytes {
    let mut mark = tag(of, encoding);
    mark.extend(encoding.write_u32(length));
    mark.into()
}

fn tag(of: Tag, encoding: Encoding) -> Vec<u8> {
    [encoding.write_u16(of.group()), encoding.write_u16(of.number())].concat()
}
