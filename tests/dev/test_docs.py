"""`make docs`: pages that open as files, links that lead somewhere, and a build that fails on a warning."""

from pathlib import Path

import pytest
import yaml

from dev import docs
from dev.docs import broken_links, build
from dev.stack import PROJECT


def site(folder: Path, **pages: str) -> Path:
    for name, body in pages.items():
        (folder / f"{name}.html").write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    return folder


def test_links_to_pages_headings_and_files_are_good(tmp_path: Path) -> None:
    (tmp_path / "picture.png").touch()
    index = '<a href="other.html#the-end"></a><a href="#top" id="top"></a><img src="picture.png"><a href="https://x.example">'
    assert [*broken_links(site(tmp_path, index=index, other='<h2 id="the-end"></h2>'))] == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<a href="folder/">', "index.html: folder/ leads to no file"),
        ('<a href="gone.html">', "index.html: gone.html leads to no file"),
        ('<img src="gone.png">', "index.html: gone.png leads to no file"),
        ('<a href="#nowhere">', "index.html: #nowhere leads to no heading or name of that page"),
        ('<a href="other.html#nowhere">', "index.html: other.html#nowhere leads to no heading or name of that page"),
        ('<script src="https://x.example/a.js">', "index.html: loads https://x.example/a.js from another host"),
    ],
)
def test_what_does_not_open_from_disk_is_named(tmp_path: Path, body: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    site(tmp_path / "folder", index="")
    assert [*broken_links(site(tmp_path, index=body, other=""))] == [said]


def test_the_build_fails_on_links_that_lead_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    links = ("gone.md", "other.md#nowhere", "/other/", "other/")
    ours = (PROJECT / "mkdocs.yml").read_text(encoding="utf-8")
    kept = {name: value for name, value in yaml.safe_load(ours).items() if name in {"validation", "use_directory_urls"}}
    config = tmp_path / "mkdocs.yml"
    config.write_text(yaml.safe_dump(kept | {"site_name": "a", "theme": {"name": "mkdocs"}}), encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "other.md").write_text("# Other\n", encoding="utf-8")
    page = tmp_path / "docs" / "index.md"
    page.write_text("# Page\n\n" + "\n".join(f"[a link]({link})" for link in links), encoding="utf-8")
    assert build(config, tmp_path / "site") != 0
    said = capfd.readouterr().err
    assert [link for link in links if f"'{link}'" not in said] == []


def test_a_good_build_says_where_its_pages_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(docs, "build", lambda *_: 0)
    monkeypatch.setattr(docs, "SITE", site(tmp_path, index="", other="", **{"404": ""}))
    assert docs.main() == 0
    assert f"2 pages, every link checked. Open {(tmp_path / 'index.html').as_uri()} in a" in capsys.readouterr().out
