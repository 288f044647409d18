"""Two images as Markdown: nothing that they say of themselves leaves its cell."""

from __future__ import annotations

from moorage.model.comparison_text import Row, Told, markdown


def test_what_images_say_stays_in_its_cell() -> None:
    evil = "a`|<img src=x>\n| b"
    told = Told(
        summary=f"B has {evil}",
        sides=[("web/shop", f"sha256:{'a' * 64}"), ("web/cart", f"sha256:{'b' * 64}")],
        changed=[("env", evil, None, evil)],
        layers=[Row("+", f"sha256:{'c' * 64}", "1.0 kB", evil * 20)],
        platforms=[(evil, "1 B", "2 B")],
    )
    lines = markdown(told).split("\n")
    assert lines[2] == f"`web/shop@sha256:{'a' * 12}` → `web/cart@sha256:{'b' * 12}`"
    rows = [each for each in lines if each.startswith("|")]
    assert len(rows) == 9
    for each in rows:
        bars = each.replace("\\|", "").count("|")
        assert bars == rows[3 * (rows.index(each) // 3)].count("|"), each
    assert "<img" not in lines[0].replace("\\<", "")
    assert len(lines) == 15
