"""An archive with PyPI's pynetdicom that commits itself over the association which asks it; prints its port.

What it says of an instance is in its PatientID: LOST the first time that it has no such instance, F0119 that it fails for this
reason, SILENT nothing at all; of any other that it keeps it.
"""
import threading

from pydicom.dataset import Dataset
from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance, Verification

patients, asked = {}, {}


def store(event):
    patients[event.dataset.SOPInstanceUID] = event.dataset.PatientID
    return 0x0000


def reason(instance):
    patient = patients.get(instance)
    asked[instance] = asked.get(instance, 0) + 1
    if patient is None or patient == "LOST" and asked[instance] == 1:
        return 0x0112
    return int(patient[1:], 16) if patient.startswith("F0") else None


def report(association, action):
    told, kept, failed = Dataset(), [], []
    told.TransactionUID = action.TransactionUID
    for item in action.ReferencedSOPSequence:
        one = Dataset()
        one.ReferencedSOPClassUID = item.ReferencedSOPClassUID
        one.ReferencedSOPInstanceUID = item.ReferencedSOPInstanceUID
        why = reason(item.ReferencedSOPInstanceUID)
        if why is None:
            kept.append(one)
        else:
            one.FailureReason = why
            failed.append(one)
    if kept:
        told.ReferencedSOPSequence = kept
    if failed:
        told.FailedSOPSequence = failed
    association.send_n_event_report(told, 2 if failed else 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)


def act(event):
    action = event.action_information
    if not any(patients.get(item.ReferencedSOPInstanceUID) == "SILENT" for item in action.ReferencedSOPSequence):
        # Once the answer has left.
        threading.Timer(0.1, report, (event.assoc, action)).start()
    return 0x0000, None


entity = AE("PACS")
for context in StoragePresentationContexts:
    entity.add_supported_context(context.abstract_syntax, ["1.2.840.10008.1.2.1"])
entity.add_supported_context(Verification)
entity.add_supported_context(StorageCommitmentPushModel)
server = entity.start_server(
    ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store), (evt.EVT_N_ACTION, act)]
)
print(server.socket.getsockname()[1], flush=True)
threading.Event().wait()
