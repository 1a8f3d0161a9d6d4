"""Published data sets in small: their folders, names and tables exactly, with tiny pictures."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from tests.train.data.pictures import picture, save, text

SIDE = 16


def photographs(folder: Path, names: Iterable[str], suffix: str = ".jpg", seed: int = 0) -> None:
    for number, name in enumerate(names):
        save(folder / f"{name}{suffix}", picture(seed + number, SIDE))


def masks(folder: Path, names: Iterable[str], ending: str = "_segmentation.png") -> None:
    for name in names:
        save(folder / f"{name}{ending}", np.full((SIDE, SIDE), 255, np.uint8))


def table(path: Path, *lines: str) -> Path:
    return text(path, "\n".join(lines) + "\n")


def isic2016(root: Path) -> Path:
    train, test = ("ISIC_0000000", "ISIC_0000002"), ("ISIC_0000003",)
    for part, names in (("Training", train), ("Test", test)):
        photographs(root / f"ISBI2016_ISIC_Part3_{part}_Data", names, seed=len(names))
        masks(root / f"ISBI2016_ISIC_Part1_{part}_GroundTruth", names, "_Segmentation.png")
    lines = ("ISIC_0000000,benign", "ISIC_0000002,malignant")
    table(root / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv", *lines)
    table(root / "ISBI2016_ISIC_Part3_Test_GroundTruth.csv", "ISIC_0000003,1.0")
    return root


HEADER_2018 = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"


def isic2018_task3(root: Path) -> Path:
    names = [f"ISIC_{24306 + number:07d}" for number in range(7)]
    photographs(root / "ISIC2018_Task3_Training_Input", names)
    text(root / "ISIC2018_Task3_Training_Input" / "ATTRIBUTION.txt", "")
    folder = root / "ISIC2018_Task3_Training_GroundTruth"
    flags = [",".join(f"{float(column == row)}" for column in range(7)) for row in range(7)]
    rows = [f"{name},{row}" for name, row in zip(names, flags, strict=True)]
    table(folder / f"{folder.name}.csv", HEADER_2018, *rows)
    lesions = [f"{name},HAM_{number // 2:07d},histopathology" for number, name in enumerate(names)]
    header = "image,lesion_id,diagnosis_confirm_type"
    table(root / "ISIC2018_Task3_Training_LesionGroupings.csv", header, *lesions)
    photographs(root / "ISIC2018_Task3_Test_Input", ["ISIC_0034524"], seed=50)
    return root


def isic2018_task1(root: Path) -> Path:
    names = ["ISIC_0000000", "ISIC_0000001"]
    photographs(root / "ISIC2018_Task1-2_Training_Input", names, seed=60)
    masks(root / "ISIC2018_Task1_Training_GroundTruth", names)
    return root


def isic2019(root: Path) -> Path:
    names = ["ISIC_0000000", "ISIC_0000001_downsampled", "ISIC_0053453"]
    photographs(root / "ISIC_2019_Training_Input", names)
    table(
        root / "ISIC_2019_Training_GroundTruth.csv",
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK",
        "ISIC_0000000,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "ISIC_0000001_downsampled,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "ISIC_0053453,0.0,0.0,0.0,1.0,0.0,0.0,0.0,0.0,0.0",
    )
    table(
        root / "ISIC_2019_Training_Metadata.csv",
        "image,age_approx,anatom_site_general,lesion_id,sex",
        "ISIC_0000000,55.0,anterior torso,,female",
        "ISIC_0000001_downsampled,,,,",
        "ISIC_0053453,30.0,head/neck,BCN_0000550,male",
    )
    photographs(root / "ISIC_2019_Test_Input", ["ISIC_0034321", "ISIC_0034322"], seed=50)
    table(
        root / "ISIC_2019_Test_GroundTruth.csv",
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK,score_weight,validation_weight",
        "ISIC_0034321,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0",
        "ISIC_0034322,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0,0.0,1.0",
    )
    table(
        root / "ISIC_2019_Test_Metadata.csv",
        "image,age_approx,anatom_site_general,sex",
        "ISIC_0034321,75.0,palms/soles,male",
        "ISIC_0034322,,oral/genital,female",
    )
    return root


HEADER_2020 = (
    "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
    "benign_malignant,target"
)
ROWS_2020 = (
    "ISIC_0015719,IP_3075186,female,45.0,upper extremity,unknown,benign,0",
    "ISIC_0052212,IP_2842074,female,50.0,lower extremity,nevus,benign,0",
    "ISIC_0149568,IP_0962375,female,55.0,upper extremity,melanoma,malignant,1",
    "ISIC_0279038,IP_2842074,,,,lentigo NOS,benign,0",
)


def isic2020_kaggle(root: Path) -> Path:
    photographs(root / "jpeg" / "train", [row[:12] for row in ROWS_2020])
    text(root / "train" / "ISIC_0015719.dcm", "the same picture in another format")
    table(root / "train.csv", HEADER_2020, *ROWS_2020)
    photographs(root / "jpeg" / "test", ["ISIC_0052060"], seed=50)
    table(
        root / "test.csv",
        "image_name,patient_id,sex,age_approx,anatom_site_general_challenge",
        "ISIC_0052060,IP_3579794,male,70.0,",
    )
    return root


def isic2020_official(root: Path) -> Path:
    photographs(root / "train", [row[:12] for row in ROWS_2020])
    with_lesions = [row.replace(",IP", f",IL_{n},IP", 1) for n, row in enumerate(ROWS_2020)]
    header = HEADER_2020.replace("patient_id", "lesion_id,patient_id")
    table(root / "ISIC_2020_Training_GroundTruth_v2.csv", header, *with_lesions)
    table(root / "ISIC_2020_Training_GroundTruth.csv", HEADER_2020, *ROWS_2020)
    copies = "ISIC_0052212,ISIC_0279038"
    table(root / "ISIC_2020_Training_Duplicates.csv", "image_name_1,image_name_2", copies)
    photographs(root / "ISIC_2020_Test_Input", ["ISIC_0052060"], seed=50)
    table(
        root / "ISIC_2020_Test_Metadata.csv",
        "image,patient,age_approx,anatom_site_general,sex",
        "ISIC_0052060,IP_3579794,70.0,,male",
    )
    return root


def ham10000(root: Path) -> Path:
    parts = (["ISIC_0024306", "ISIC_0024307"], ["ISIC_0029306"])
    for number, names in enumerate(parts, start=1):
        photographs(root / f"HAM10000_images_part_{number}", names, seed=10 * number)
        masks(root / "HAM10000_segmentations_lesion_tschandl", names)
    table(
        root / "HAM10000_metadata.csv",
        "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset",
        "HAM_0000550,ISIC_0024306,nv,follow_up,45.0,male,trunk,vidir_molemax",
        "HAM_0003577,ISIC_0024307,akiec,histo,,unknown,unknown,rosendahl",
        "HAM_0000550,ISIC_0029306,nv,follow_up,45.0,male,trunk,vidir_molemax",
    )
    return root


PH2_HEADER = ("Image Name", "Histological Diagnosis", "Common Nevus", "Atypical Nevus", "Melanoma")
PH2_ROWS = {"IMD003": "0", "IMD009": "1", "IMD058": "2"}


def ph2_sheet(root: Path) -> Path:
    rows: list[Sequence[str]] = [("PH2 Dataset",), *[()] * 10, ("", "", "Clinical Diagnosis")]
    rows.append(PH2_HEADER)
    for name, code in PH2_ROWS.items():
        rows.append((name, "", *("X" if str(n) == code else "" for n in range(3))))
    return sheet(root / "PH2_dataset.xlsx", [*rows, (), ("Legends",)])


def ph2_text(root: Path) -> Path:
    rows = [f"|| {name} ||             || {code} || 0 | T |" for name, code in PH2_ROWS.items()]
    header = "|| Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry |"
    legend = "Clinical Diagnosis: 0 - Common Nevus; 1 - Atypical Nevus; 2 - Melanoma."
    return table(root / "PH2_dataset.txt", header, "", *rows, "", legend)


def ph2(root: Path, folder: str = "PH2 Dataset images") -> Path:
    for number, name in enumerate(PH2_ROWS):
        case = root / folder / name
        photographs(case / f"{name}_Dermoscopic_Image", [name], ".bmp", seed=number)
        masks(case / f"{name}_lesion", [name], "_lesion.bmp")
        masks(case / f"{name}_roi", [name], "_R1_Label4.bmp")
    ph2_sheet(root)
    return root


def sheet(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    """An .xlsx as spreadsheets write it: every text once, in a list of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    strings = list(dict.fromkeys(cell for row in rows for cell in row if cell))
    items = "".join(f'<si><t xml:space="preserve">{escape(item)}</t></si>' for item in strings)
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = "".join(
            f'<c r="{chr(65 + column)}{number}" t="s"><v>{strings.index(cell)}</v></c>'
            for column, cell in enumerate(row)
            if cell
        )
        lines.append(f'<row r="{number}">{cells}</row>')
    data = f"<worksheet {main}><sheetData>{''.join(lines)}</sheetData></worksheet>"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", data)
        archive.writestr("xl/sharedStrings.xml", f"<sst {main}>{items}</sst>")
    return path
