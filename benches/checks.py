#!/usr/bin/env python3
"""Checks of what the bench scripts conclude: `python -m unittest benches/checks.py` (`cargo xtask bench` runs them first)."""
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import against_xnnpack as bench
import ratio_plot

RESULTS = {
    "a": {
        "xnnpack": {"ms": 2.0, "warm_ms": 3.0, "cosine": 1.0},
        "ours-f16": {"ms": 10.0, "cold_ms": 900.0, "warm_ms": 90.0, "peak_mb": 80.0, "cosine": 0.9999},
        "ncnn-f32": {"error": "no | such operator"},
    }
}


class Checks(unittest.TestCase):
    def test_a_wrong_result_has_no_cosine(self):
        right = [np.array([1.0, 2.0, 3.0])]
        self.assertAlmostEqual(bench.cosine(right, right), 1.0)
        self.assertLess(bench.cosine([np.array([1.0, 2.0, -3.0])], right), bench.LEAST_COSINE)
        for wrong in ([], [np.array([1.0, 2.0])], [np.array([1.0, np.nan, 3.0])], [np.zeros(3)]):
            self.assertEqual(bench.cosine(wrong, right), 0.0)
        self.assertEqual(bench.cosine([], []), 0.0, "nothing was compared")

    def test_wrong_results_of_ours_are_named(self):
        self.assertEqual(bench.wrong(RESULTS), [])
        for row in ({"cosine": 0.9}, {}, {"error": "x", "cosine": 1.0}):
            self.assertEqual(len(bench.wrong({"a": {"ours-f16": row}})), 1)

    def test_the_table_has_ratios_and_reasons(self):
        lines = bench.table(RESULTS).splitlines()
        self.assertEqual(lines[3], "| a | ours-f16 | 10.00 | 5.0 | 900 | 90 | 80 | 0.999900 |")
        self.assertIn("no / such operator", lines[4])
        self.assertTrue(all(line.count("|") == lines[0].count("|") for line in lines))

    def test_the_best_counts_and_the_first_cold_start(self):
        row = {}
        bench.keep(row, {"first_ms": 50.0, "min_ms": 0.0, "peak_mb": 9.0}, "cold_ms")
        bench.keep(row, {"first_ms": 40.0, "min_ms": 5.0, "peak_mb": 80.0, "growth_mb": 8.0}, "warm_ms")
        bench.keep(row, {"first_ms": 45.0, "min_ms": 4.0, "peak_mb": 8.5}, "warm_ms")
        bench.keep(row, {"first_ms": 10.0, "min_ms": 0.0}, "cold_ms")
        self.assertEqual(row, {"cold_ms": 50.0, "peak_mb": 8.0, "ms": 4.0, "warm_ms": 40.0})

    def test_documents_need_markers(self):
        with tempfile.TemporaryDirectory() as folder:
            document = pathlib.Path(folder) / "d.md"
            document.write_text("a\n<!-- gpu x: begin -->\nold\n<!-- gpu x: end -->\nb\n")
            bench.update(document, "gpu x", "new\n")
            self.assertEqual(document.read_text(), "a\n<!-- gpu x: begin -->\nnew\n<!-- gpu x: end -->\nb\n")
            with self.assertRaises(SystemExit):
                bench.update(document, "gpu y", "new\n")

    def test_without_figures_no_document_is_touched(self):
        script = pathlib.Path(bench.__file__)
        with tempfile.TemporaryDirectory() as folder:
            document = pathlib.Path(folder) / "d.md"
            document.write_text("<!-- gpu lavapipe: begin -->\nold\n<!-- gpu lavapipe: end -->\n")
            done = subprocess.run([sys.executable, script, "--rounds", "0", "--update", document], capture_output=True)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("old", document.read_text())

    def test_the_plot_has_a_bar_per_engine(self):
        text = ratio_plot.svg(RESULTS, "here & there")
        xml.dom.minidom.parseString(text)
        self.assertEqual(text.count(f'fill="{ratio_plot.COLOURS["ours-f16"]}"'), 2, "the legend's and the model's")
        self.assertNotIn(ratio_plot.COLOURS["ncnn-f32"], text)
        self.assertIn(">5.0<", text)
        with self.assertRaises(ValueError):
            ratio_plot.svg({"a": {"xnnpack": {"ms": 1.0}}}, "nothing")


if __name__ == "__main__":
    unittest.main()
