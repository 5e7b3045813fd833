//! DICOM: elements by keyword or tag, items of sequences by their place.

use rhai::{Array, Blob, Dynamic, INT, ImmutableString, plugin::*};

use super::{Outcome, broke};
use crate::dicom::{DicomHandle, ItemHandle};

#[export_module]
pub(crate) mod functions {
    /// Makes a new instance, of a class and with a UID of its own.
    ///
    /// ```rhai
    /// let image = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"); image["SOPInstanceUID"] == "1.2.3.4"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn dicom(sop_class: &str, sop_instance: &str) -> Outcome<DicomHandle> {
        formats::dicom::Instance::new(sop_class, sop_instance).map(DicomHandle::new).or_else(broke)
    }

    /// A UID made of a text, always the same for the same text: what an order names its study by before there is one.
    ///
    /// ```rhai
    /// uid_of("ward 3, A-7003") == uid_of("ward 3, A-7003") && uid_of("A-7003").starts_with("2.25.")
    /// ```
    pub fn uid_of(text: &str) -> String {
        formats::dicom::uid_of(text)
    }

    /// Reads a DICOM file, as `format: dicom` does.
    ///
    /// ```rhai
    /// let image = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"); read_dicom(image.file())["SOPInstanceUID"] == "1.2.3.4"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read_dicom(bytes: Blob) -> Outcome<DicomHandle> {
        formats::dicom::Instance::of_bytes(bytes.into()).map(DicomHandle::new).or_else(broke)
    }

    /// The whole instance as a DICOM file.
    ///
    /// ```rhai
    /// dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4").file().len() > 132
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn file(instance: &mut DicomHandle) -> Outcome<Blob> {
        let bytes = instance.instance().written().or_else(broke)?;
        crate::run::count_written(bytes.len())?;
        Ok(bytes.to_vec())
    }

    /// The text at a path, empty when absent. Elements are named by keyword or tag, private ones by their maker, items and
    /// values by their place, from 1; without a place the first item, and all values with `\` between.
    ///
    /// ```rhai
    /// let image = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"); image["ImageType"] = "DERIVED\\PRIMARY"; image["ImageType[2]"] == "PRIMARY" && image["(0010,0020)"] == ""
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn get(instance: &mut DicomHandle, path: &str) -> Outcome<ImmutableString> {
        instance.whole().get(path)
    }

    /// Writes text to a path, or bytes; what is missing on the way is added, a private element with its maker. A time is
    /// written as the element takes it: a date, a time of day, or both.
    ///
    /// ```rhai
    /// let image = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"); image["RequestAttributesSequence[1].ScheduledProcedureStepID"] = "S1"; image["(0019,ACME,01)"] = "x"; image["(0040,0275)[1].(0040,0009)"] + image["(0019,0010)"] == "S1ACME"
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn assign(instance: &mut DicomHandle, path: &str, value: Dynamic) -> Outcome<()> {
        instance.whole().set(path, &value)
    }

    /// Writes to a path a value of a kind: for private elements, whose kind nobody knows.
    ///
    /// ```rhai
    /// let image = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"); image.set("(0019,ACME,01)", "US", 7); image["(0019,1001)"] == "7"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn set(instance: &mut DicomHandle, path: &str, kind: &str, value: Dynamic) -> Outcome<()> {
        instance.whole().set_as(path, kind, &value)
    }

    /// Whether something stands at a path: a value that is not empty, an item.
    ///
    /// ```rhai
    /// let image = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"); image.has("SOPClassUID") && !image.has("RequestAttributesSequence[1]")
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn has(instance: &mut DicomHandle, path: &str) -> Outcome<bool> {
        instance.whole().has(path)
    }

    /// The bytes of the value at a path: of what is not text. Pixels can be read so too, up to 16 MiB.
    ///
    /// ```rhai
    /// let image = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"); image["ICCProfile"] = blob(4, 7); image.bytes("ICCProfile").len() == 4
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn bytes(instance: &mut DicomHandle, path: &str) -> Outcome<Blob> {
        instance.whole().bytes(path)
    }

    /// How many items a sequence has.
    ///
    /// ```rhai
    /// let image = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"); image.add("ReferencedStudySequence"); image.count("ReferencedStudySequence") == 1
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn count(instance: &mut DicomHandle, path: &str) -> Outcome<INT> {
        instance.whole().count(path)
    }

    /// The items of a sequence, each as a handle.
    ///
    /// ```rhai
    /// let image = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"); let item = image.add("ReferencedStudySequence"); item["ReferencedSOPInstanceUID"] = "1.2"; image.items("ReferencedStudySequence")[0]["ReferencedSOPInstanceUID"] == "1.2"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn items(instance: &mut DicomHandle, path: &str) -> Outcome<Array> {
        instance.whole().items(path)
    }

    /// Adds an empty item at the end of a sequence, and gives it.
    ///
    /// ```rhai
    /// let image = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"); let item = image.add("ReferencedStudySequence"); item["ReferencedSOPInstanceUID"] = "1.2"; image["ReferencedStudySequence[1].ReferencedSOPInstanceUID"] == "1.2"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn add(instance: &mut DicomHandle, path: &str) -> Outcome<ItemHandle> {
        instance.whole().add(path)
    }

    /// Takes an element away, or with a place one item or value of it. Tells whether there was one.
    ///
    /// ```rhai
    /// let image = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"); image["PatientID"] = "P1"; image.remove("PatientID") && !image.remove("PatientID")
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn remove(instance: &mut DicomHandle, path: &str) -> Outcome<bool> {
        instance.whole().remove(path)
    }

    /// The elements side by side, each a map of `tag`, `keyword`, `vr` and `is_sequence`.
    ///
    /// ```rhai
    /// dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4").elements()[1].keyword == "SOPInstanceUID"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn elements(instance: &mut DicomHandle) -> Outcome<Array> {
        instance.whole().elements()
    }

    /// Another instance that is the same: a change of one is no change of the other.
    ///
    /// ```rhai
    /// let image = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"); let other = image.copy(); other["PatientID"] = "P1"; image["PatientID"] == ""
    /// ```
    #[rhai_fn(pure)]
    pub fn copy(instance: &mut DicomHandle) -> DicomHandle {
        DicomHandle::new(instance.instance())
    }

    /// The text at a path, from the item on.
    ///
    /// ```rhai
    /// dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4").add("ReferencedStudySequence")["ReferencedSOPInstanceUID"] == ""
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn item_get(item: &mut ItemHandle, path: &str) -> Outcome<ImmutableString> {
        item.get(path)
    }

    /// Writes to a path, from the item on.
    ///
    /// ```rhai
    /// let item = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4").add("ReferencedStudySequence"); item["ReferencedSOPInstanceUID"] = "1.2"; item["ReferencedSOPInstanceUID"] == "1.2"
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn item_assign(item: &mut ItemHandle, path: &str, value: Dynamic) -> Outcome<()> {
        item.set(path, &value)
    }

    /// Whether something stands at a path, from the item on.
    ///
    /// ```rhai
    /// !dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4").add("ReferencedStudySequence").has("ReferencedSOPInstanceUID")
    /// ```
    #[rhai_fn(name = "has", return_raw, pure)]
    pub fn item_has(item: &mut ItemHandle, path: &str) -> Outcome<bool> {
        item.has(path)
    }

    /// The items of a sequence, from the item on.
    ///
    /// ```rhai
    /// dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4").add("ReferencedStudySequence").items("PurposeOfReferenceCodeSequence") == []
    /// ```
    #[rhai_fn(name = "items", return_raw, pure)]
    pub fn item_items(item: &mut ItemHandle, path: &str) -> Outcome<Array> {
        item.items(path)
    }

    /// Adds an item to a sequence, from the item on.
    ///
    /// ```rhai
    /// let item = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4").add("ReferencedStudySequence"); item.add("PurposeOfReferenceCodeSequence"); item.has("PurposeOfReferenceCodeSequence[1]")
    /// ```
    #[rhai_fn(name = "add", return_raw, pure)]
    pub fn item_add(item: &mut ItemHandle, path: &str) -> Outcome<ItemHandle> {
        item.add(path)
    }

    /// Takes an element away, from the item on.
    ///
    /// ```rhai
    /// let item = dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4").add("ReferencedStudySequence"); item["PatientID"] = "P1"; item.remove("PatientID")
    /// ```
    #[rhai_fn(name = "remove", return_raw, pure)]
    pub fn item_remove(item: &mut ItemHandle, path: &str) -> Outcome<bool> {
        item.remove(path)
    }

    /// The elements of the item.
    ///
    /// ```rhai
    /// dicom("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4").add("ReferencedStudySequence").elements() == []
    /// ```
    #[rhai_fn(name = "elements", return_raw, pure)]
    pub fn item_elements(item: &mut ItemHandle) -> Outcome<Array> {
        item.elements()
    }
}
