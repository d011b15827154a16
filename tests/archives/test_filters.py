import pytest

from promise_seg.archives.filters import OF_SERIES, OF_STUDIES, fits, of_level


def test_each_level_has_its_filters_and_studies_the_modality_too():
    filters = {"StudyDate": "20260101", "Modality": "CT"}
    assert of_level(filters, OF_STUDIES) == {"StudyDate": "20260101", "ModalitiesInStudy": "CT"}
    assert of_level(filters, OF_SERIES) == {"Modality": "CT"}


@pytest.mark.parametrize(
    ("keyword", "wanted", "values", "is_fitting"),
    [
        ("StudyDate", "20260101-20260131", ["20260131"], True),
        ("StudyDate", "20260101-20260131", ["20260201"], False),
        ("StudyDate", "20260101-", ["20270101"], True),
        ("StudyDate", "-20260101", ["20260102"], False),
        ("StudyDate", "20260101", ["20260101"], True),
        ("StudyDate", "20260101", ["20260102"], False),
        ("Modality", "CT", ["CT"], True),
        ("Modality", "CT", ["MR"], False),
        ("Modality", "CT,MR", ["MR"], True),
        ("Modality", "CT\\MR", ["MR"], True),
        ("ModalitiesInStudy", "CT", ["MR", "CT"], True),
        ("ModalitiesInStudy", "CT", ["MR"], False),
        ("SeriesDescription", "*thorax*", ["CT Thorax nativ"], True),
        ("SeriesDescription", "thorax", ["CT Thorax nativ"], False),
        ("SeriesDescription", "T1 [ax]", ["T1 [ax]"], True),
        ("SeriesDescription", "T?", ["T1"], True),
        ("PatientID", "p1", ["p1"], True),
        ("PatientID", "p1", ["p10"], False),
        ("PatientName", "M*", [{"Alphabetic": "Anna"}], True),
        ("StudyTime", "1200-1300", ["150000"], True),
        ("Modality", "CT", [], True),
        ("Modality", "CT", [None], True),
    ],
)
def test_what_fits(keyword, wanted, values, is_fitting):
    assert fits(keyword, wanted, values) is is_fitting
