"""Writes files that hold every element of the profile's table, each with a value that must not be found again.

Called with the table and a folder; the files are `explicit.dcm` and `implicit.dcm`.
"""

import sys
from pathlib import Path

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

DATE, TIME, UID, TEXT = "20010203", "101112", "1.2.3.4.5", "SECRET"
VALUES = {
    "DA": DATE, "TM": TIME, "DT": DATE + TIME, "AS": "042Y", "UI": UID, "IS": 7, "DS": 7, "AT": Tag(0x00100010),
    "US": 7, "SS": 7, "UL": 7, "SL": 7, "FL": 7.0, "FD": 7.0, "UR": "urn:" + TEXT,
    "OB": TEXT.encode(), "OW": TEXT.encode(), "UN": TEXT.encode(), "PN": TEXT + "^" + TEXT,
}  # fmt: skip


def item():
    inner = Dataset()
    inner.PatientName = TEXT
    return inner


def fill(dataset, digits):
    tag = Tag(int(digits.replace("x", "0"), 16))
    if tag.is_private or tag.group <= 2:
        return
    try:
        vr = dictionary_VR(tag).split(" ")[0]
    except KeyError:
        vr = "LO"
    dataset.add_new(tag, vr, Sequence([item()]) if vr == "SQ" else VALUES.get(vr, TEXT))


table, folder = Path(sys.argv[1]), Path(sys.argv[2])
dataset, within = Dataset(), Dataset()
for line in table.read_text().splitlines():
    fill(dataset, line.split("\t")[0])
    fill(within, line.split("\t")[0])
for one in (dataset, within):
    block = one.private_block(0x0019, TEXT + " MAKER", create=True)
    block.add_new(1, "LO", TEXT)
# The standard does not know this one, and the profile does not name that sequence.
dataset.add_new(0x00189FFE, "UN", TEXT.encode())
dataset.SharedFunctionalGroupsSequence = Sequence([within])
dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
for name, syntax in (("explicit", ExplicitVRLittleEndian), ("implicit", ImplicitVRLittleEndian)):
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.SourceApplicationEntityTitle = TEXT
    dataset.preamble = (TEXT * 22).encode()[:128]
    dataset.save_as(folder / f"{name}.dcm", enforce_file_format=True, little_endian=True, implicit_vr=name == "implicit")
