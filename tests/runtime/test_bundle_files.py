"""One malformed bundle for each way a bundle can be wrong, and what sealing promises."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.bundle_files import LoadedBundle, digest_of, fields_of, load_bundle, seal
from runtime.errors import BundleError
from tests.bundle_factory import bundle_fields, make_bundle

Break = Callable[[Path], Any]


def edit(change: Callable[[dict[str, Any]], Any]) -> Break:
    """A change to bundle.json as JSON."""

    def apply(folder: Path) -> None:
        fields = json.loads((folder / "bundle.json").read_text())
        change(fields)
        (folder / "bundle.json").write_text(json.dumps(fields))

    return apply


def text(content: str) -> Break:
    return lambda folder: (folder / "bundle.json").write_text(content)


def flip_a_byte(folder: Path) -> None:
    path = folder / "models" / "member_a.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link(target: str, name: str) -> Break:
    def apply(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return apply


def replace_by_link(folder: Path) -> None:
    """The right bytes by way of a link that leaves the folder."""
    path = folder / "models" / "member_a.onnx"
    path.rename(folder.parent / "elsewhere.onnx")
    path.symlink_to(folder.parent / "elsewhere.onnx")


def link_the_folder(folder: Path) -> None:
    (folder / "models").rename(folder.parent / "models")
    (folder / "models").symlink_to(folder.parent / "models")


def link_the_manifest(folder: Path) -> None:
    (folder / "bundle.json").rename(folder.parent / "bundle.json")
    (folder / "bundle.json").symlink_to(folder.parent / "bundle.json")


def climb_out(fields: dict[str, Any]) -> None:
    fields["files"]["../outside"] = "0" * 64


def nested(folder: Path) -> None:
    (folder / "bundle.json").write_text("[" * 100_000)


def repeat_a_key(folder: Path) -> None:
    path = folder / "bundle.json"
    path.write_text(path.read_text().replace('"name":', '"name": "other", "name":', 1))


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (flip_a_byte, "not the file that the bundle was made with"),
        (lambda f: (f / "models" / "member_a.onnx").unlink(), "lacks files"),
        (lambda f: (f / "models" / "extra.onnx").write_text("x"), "models/extra.onnx"),
        (lambda f: (f / "models" / "bundle.json").write_text("{}"), "models/bundle.json"),
        (link("/etc/hostname", "notes"), "notes, a link"),
        (link("bundle.json", "notes"), "notes, a link"),
        (replace_by_link, "models/member_a.onnx, a link"),
        (link_the_folder, "models, a link"),
        (link_the_manifest, "no plain file bundle.json"),
        (lambda f: os.mkfifo(f / "pipe"), "pipe, a device or pipe"),
        (lambda f: (f / "bundle.json").unlink(), "no plain file bundle.json"),
        (text("{"), "not JSON"),
        (text(""), "not JSON"),
        (lambda f: (f / "bundle.json").write_bytes(b"\xff\xfe{}"), "not JSON"),
        (nested, "not JSON"),
        (text("[1]"), "a list"),
        (text('{"schema": NaN}'), "not JSON"),
        (repeat_a_key, "'name' stands twice"),
        (edit(lambda f: f.update(schema=2)), "schema 2"),
        (edit(lambda f: f.update(schema=True)), "schema true"),
        (edit(lambda f: f.pop("schema")), "schema null"),
        (edit(lambda f: f.update(surprise=1)), "surprise: Extra inputs"),
        (edit(lambda f: f["chain"].update(classify=["nobody"])), "chain.classify names"),
        (edit(lambda f: f["decision"].update(temperature="hot")), "decision.temperature: "),
        (edit(climb_out), "stay inside the bundle"),
    ],
)
def test_refused(bundle_folder: Path, break_it: Break, words: str) -> None:
    break_it(bundle_folder)
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle_folder)
    assert words in str(caught.value)
    assert caught.value.exit_code == 3


def test_every_finding_is_listed_by_its_place(bundle_folder: Path) -> None:
    edit(lambda f: f["decision"].update(temperature=-1, score=5))(bundle_folder)
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle_folder)
    assert caught.value.got is not None
    assert [line.strip().partition(":")[0] for line in caught.value.got.splitlines()] == [
        "decision.score",
        "decision.temperature",
    ]


@pytest.mark.parametrize(("make", "words"), [(None, "nothing"), ("file", "a file")])
def test_not_a_folder(tmp_path: Path, make: str | None, words: str) -> None:
    path = tmp_path / "bundle"
    if make:
        path.write_text("{}")
    with pytest.raises(BundleError) as caught:
        load_bundle(path)
    assert words in str(caught.value)
    assert caught.value.remedy is not None


def test_a_signature_is_no_foreign_file(bundle_folder: Path) -> None:
    (bundle_folder / "bundle.sig").write_bytes(b"x")
    load_bundle(bundle_folder)


def test_verify_false_reads_without_hashing(bundle_folder: Path, sealed: LoadedBundle) -> None:
    flip_a_byte(bundle_folder)
    assert load_bundle(bundle_folder, verify=False).digest == sealed.digest


def test_loading_gives_what_was_sealed(sealed: LoadedBundle) -> None:
    loaded = load_bundle(sealed.path)
    assert loaded == sealed
    assert loaded.record.digest == loaded.digest


def test_hashes_and_digest_are_what_they_say(sealed: LoadedBundle) -> None:
    assert set(sealed.spec.files) == {
        f"models/{name}.onnx" for name in ("segmenter", "member_a", "member_b", "ensemble")
    }
    for path, digest in sealed.spec.files.items():
        assert hashlib.sha256((sealed.path / path).read_bytes()).hexdigest() == digest
    manifest = (sealed.path / "bundle.json").read_bytes()
    assert sealed.digest == digest_of(manifest, sealed.spec.files)
    changed = dict(sealed.spec.files, **{"models/ensemble.onnx": "0" * 64})
    assert digest_of(manifest, changed) != sealed.digest
    assert digest_of(manifest + b" ", sealed.spec.files) != sealed.digest
    backwards = dict(reversed(sealed.spec.files.items()))
    assert digest_of(manifest, backwards) == sealed.digest


def test_sealing_again_changes_what_was_changed(bundle_folder: Path) -> None:
    before = load_bundle(bundle_folder)
    (bundle_folder / "bundle.sig").write_bytes(b"x")
    (bundle_folder / "card.md").write_text("about")
    fields = fields_of(before) | {"version": "2"}
    after = seal(bundle_folder, fields)
    assert load_bundle(bundle_folder) == after
    assert after.digest != before.digest
    assert after.spec.version == "2"
    assert "card.md" in after.spec.files
    assert not (bundle_folder / "bundle.sig").exists()  # it signed something else
    assert {path.name for path in bundle_folder.iterdir()} == {"bundle.json", "card.md", "models"}


def test_sealing_what_is_no_bundle_leaves_the_old_one(bundle_folder: Path) -> None:
    before = (bundle_folder / "bundle.json").read_bytes()
    for spoilt in ({"classes": []}, {"models": {}}, {"models": {"x": {}}}):
        with pytest.raises(BundleError):
            seal(bundle_folder, bundle_fields() | spoilt)
    assert (bundle_folder / "bundle.json").read_bytes() == before


def test_a_variant_without_its_file_is_refused(tmp_path: Path) -> None:
    fields = bundle_fields()
    fields["models"]["member_a"]["variants"][0]["file"] = "models/absent.onnx"
    with pytest.raises(BundleError, match="does not describe") as caught:
        make_bundle(tmp_path / "b", fields)
    assert "models/absent.onnx" in str(caught.value)


def test_a_seal_that_was_cut_short_does_not_spoil_the_bundle(bundle_folder: Path) -> None:
    (bundle_folder / ".bundle.json.partial").write_text("{")
    load_bundle(bundle_folder)
