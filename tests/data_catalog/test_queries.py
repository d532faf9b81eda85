import csv
import datetime
import io
import json
import tempfile
from pathlib import Path

import pytest

from data_catalog.connection import open_catalog
from data_catalog.errors import CatalogDamagedError, QueryError
from data_catalog.queries import BATCH, format_rows, run_query, stream_query
from data_catalog.rebuild import rebuild
from data_catalog.writes import merge_clips
from tests.data_catalog.rows import clip

VALUES = (
    "SELECT 'nan'::DOUBLE AS nan, '-inf'::DOUBLE AS inf, 1.5::DECIMAL(3, 1) AS dec, "
    "TIMESTAMP '2026-01-02 03:04:05' AS t, "
    r"'\xFFa'::BLOB AS b, [1, 2] AS l, {'x': 1e0, 'y': NULL} AS s, NULL AS n, true AS yes, 18446744073709551615 AS u, "
    "DATE '2026-01-02' AS d, 'a,\"b\"' || chr(10) AS text"
)


def test_parameters_are_bound_and_rows_come_with_their_columns(path: Path) -> None:
    rebuild(path, {"clips": [clip(0, clip_id="it's"), clip(1)]})
    answer = run_query(path, "SELECT clip_id, start_s FROM clips WHERE clip_id = ?", ["it's"])
    assert answer == (["clip_id", "start_s"], [("it's", 0.0)])


@pytest.mark.parametrize(
    "sql",
    [
        "FROM clips",
        "DESCRIBE clips",
        "SHOW TABLES",
        "SUMMARIZE clips",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "SELECT 1;",
    ],
)
def test_what_reads_is_a_query(path: Path, sql: str) -> None:
    run_query(path, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM clip_rows",
        "CREATE TABLE x (i INTEGER)",
        "COPY clips TO '{folder}/out.csv'",
        "COPY clips TO '{folder}/catalog.duckdb.wal'",
        "EXPLAIN ANALYZE COPY clips TO '{folder}/catalog.duckdb.wal'",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/other.duckdb'",
        "SET enable_external_access = true",
        "SELECT 1; COPY clips TO '{folder}/catalog.duckdb.wal'",
        "SELECT * FROM read_text('{folder}/secret.txt')",
        "SELECT * FROM read_csv('{folder}/secret.txt')",
        "SELECT * FROM '{folder}/secret.txt'",
        "SELECT * FROM glob('{folder}/*')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "",
        "-- nothing",
        "SELEC 1",
        "SELECT nope FROM clips",
    ],
)
def test_what_writes_or_reaches_other_files_is_refused_and_leaves_nothing(path: Path, sql: str) -> None:
    (path.parent / "secret.txt").write_text("a,b\n1,2\n")
    before = {entry.name: entry.read_bytes() for entry in path.parent.iterdir()}
    with pytest.raises(QueryError):
        run_query(path, sql.format(folder=path.parent))
    assert {entry.name: entry.read_bytes() for entry in path.parent.iterdir()} == before


def test_a_variable_of_the_program_is_not_a_table(path: Path) -> None:
    import pyarrow as pa

    secret = pa.table({"a": [1]})
    assert secret.num_rows
    with pytest.raises(QueryError, match="secret"):
        run_query(path, "SELECT * FROM secret")


def test_damage_met_by_a_query_says_how_to_mend_it(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(CatalogDamagedError, match="catalog rebuild"):
        run_query(path, "SELECT 1")


def test_json_is_valid_whatever_the_values(path: Path) -> None:
    text = format_rows(*run_query(path, VALUES), "json")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(text, parse_constant=refuse) == [
        {
            "nan": None,
            "inf": None,
            "dec": 1.5,
            "t": "2026-01-02T03:04:05",
            "b": "\\xffa",
            "l": [1, 2],
            "s": {"x": 1.0, "y": None},
            "n": None,
            "yes": True,
            "u": 2**64 - 1,
            "d": "2026-01-02",
            "text": 'a,"b"\n',
        }
    ]


def test_csv_comes_back_as_it_went_in(path: Path) -> None:
    columns, rows = run_query(path, VALUES)
    [header, row] = csv.reader(io.StringIO(format_rows(columns, rows, "csv")))
    assert header == columns
    assert dict(zip(header, row)) == {
        "nan": "nan",
        "inf": "-inf",
        "dec": "1.5",
        "t": "2026-01-02T03:04:05",
        "b": "\\xffa",
        "l": "[1, 2]",
        "s": '{"x": 1.0, "y": null}',
        "n": "",
        "yes": "True",
        "u": str(2**64 - 1),
        "d": "2026-01-02",
        "text": 'a,"b"\n',
    }


def test_columns_of_one_name_stay_apart(path: Path) -> None:
    columns, rows = run_query(path, "SELECT 1 AS a, 2 AS a, 3 AS a_2")
    assert columns == ["a", "a_2", "a_2_2"]
    assert json.loads(format_rows(columns, rows, "json")) == [{"a": 1, "a_2": 2, "a_2_2": 3}]


def test_a_table_shows_every_value_on_one_line_and_no_control_character() -> None:
    hostile = "\x1b[2J[red]" + "x" * 300 + "\n\u202e"
    text = format_rows(["path", "when"], [(hostile, datetime.date(2026, 1, 2)), (None, None)], "table")
    assert "\\x1b[2J[red]" + "x" * 300 + "\\n\\u202e" in text
    assert "2026-01-02" in text
    assert text.endswith("2 rows\n")
    assert all(character.isprintable() for line in text.splitlines() for character in line)


@pytest.mark.parametrize("format", ["table", "json", "csv"])
def test_no_rows_are_an_answer_too(format: str) -> None:
    text = format_rows(["a"], [], format)
    assert text == {"json": "[]\n", "csv": "a\n"}.get(format, text)
    assert text.endswith("\n")


LONG = f"SELECT range AS n, CASE WHEN range % 2 = 0 THEN 'a,\"b' END AS text FROM range({2 * BATCH + 7})"


def test_a_long_answer_in_pieces_is_the_same_text(path: Path) -> None:
    for format in ("json", "csv"):
        pieces = list(stream_query(path, LONG, format))
        assert len(pieces) > 3
        assert "".join(pieces) == format_rows(*run_query(path, LONG), format)
    assert len(json.loads("".join(stream_query(path, LONG, "json")))) == 2 * BATCH + 7


@pytest.mark.parametrize("format", ["json", "csv", "table"])
def test_the_first_rows_of_an_endless_answer_are_there_at_once(path: Path, format: str) -> None:
    pieces = stream_query(path, "SELECT * FROM range(10000000000)", format)
    text = next(pieces) + next(pieces)
    assert f"{BATCH - 1}" in text
    assert (f"first {BATCH} rows" in text) == (format == "table")
    pieces.close()  # type: ignore[attr-defined]
    assert len(run_query(path, LONG, most=5)[1]) == 5


def test_a_reader_that_takes_its_time_lets_a_build_write_and_leaves_no_copy(path: Path, tmp_path: Path) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(temp))
        pieces = stream_query(path, LONG, "csv")
        next(pieces)
        assert list(temp.iterdir()) == []
        with open_catalog(path, timeout_s=1) as con:
            merge_clips(con, [clip(0)])
        assert sum(piece.count("\n") for piece in pieces) == 2 * BATCH + 7
    assert run_query(path, "SELECT count(*) FROM clips")[1] == [(1,)]


def test_an_error_in_the_middle_of_an_answer_is_a_sentence(path: Path) -> None:
    sql = f"SELECT CASE WHEN range > {3 * BATCH} THEN error('so far') ELSE range END AS n FROM range({9 * BATCH})"
    with pytest.raises(QueryError, match="so far"):
        list(stream_query(path, sql, "csv"))


def test_an_unknown_format_is_one_sentence() -> None:
    with pytest.raises(QueryError, match="expected one of table, json, csv"):
        format_rows(["a"], [], "xml")


def test_a_table_for_the_eye_shows_what_is_no_number_as_it_shows_null():
    assert "nan" not in format_rows(["a", "b"], [(float("nan"), 1.5), (None, 2.0)], "table")
