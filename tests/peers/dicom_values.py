"""Says how pydicom reads the files it is given: a line of JSON for each, a path and its text for each element.

Numbers of kind FL and FD are told as numbers, all else as text; what holds bytes is left out, or with `--bytes` told by
its digest.
"""

import hashlib
import json
import sys
import warnings

import pydicom
from pydicom.multival import MultiValue

warnings.simplefilter("ignore")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
# Sequences that were written as bytes of an unknown kind stay such.
pydicom.config.replace_un_with_known_vr = False

BYTES = {"OB", "OW", "OF", "OD", "OL", "OV", "UN", "OB or OW", "US or OW", "US or SS or OW", "US or SS"}

WITH_BYTES = sys.argv[1] == "--bytes"


def text(vr, value):
    if value is None:
        return ""
    if isinstance(value, (MultiValue, list)):
        return "\\".join(text(vr, one) for one in value)
    if vr == "AT":
        return f"({value.group:04X},{value.element:04X})"
    if vr in ("IS", "DS") and getattr(value, "original_string", None) is not None:
        return value.original_string.strip()
    return str(value)


def walk(dataset, prefix, into):
    for element in dataset:
        tag = element.tag
        path = f"{prefix}({tag.group:04X},{tag.element:04X})"
        if element.VR == "SQ":
            for place, item in enumerate(element.value, 1):
                walk(item, f"{path}[{place}].", into)
        elif element.VR in ("FL", "FD"):
            value = element.value
            values = [] if value is None else value if isinstance(value, (MultiValue, list)) else [value]
            into[path] = [float(one) for one in values]
        elif element.VR not in BYTES:
            into[path] = text(element.VR, element.value)
        elif WITH_BYTES:
            into[path] = hashlib.sha256(repr(element.value).encode()).hexdigest() if element.value else ""


for file in sys.argv[2 if WITH_BYTES else 1 :]:
    try:
        values = {}
        dataset = pydicom.dcmread(file, defer_size=None)
        walk(dataset, "", values)
        print(json.dumps({"file": file, "values": values}))
    except Exception as error:
        print(json.dumps({"file": file, "error": type(error).__name__}))
