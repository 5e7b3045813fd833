//! Turns the bytes of healthcare messages into trees and back; pure, without input or output.

pub mod charset;
pub mod dicom;
pub mod hl7;
pub mod hprim;
pub mod rows;
pub mod xml;
