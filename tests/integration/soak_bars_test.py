"""`make soak` fails where jobs go on too late, or where a step of alpha is lost or doubled."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "soak"))
import programs  # noqa: E402

programs.with_python_deps()
import soak  # noqa: E402


class Bars(unittest.TestCase):
    def broken(self, recoveries, lost=0, doubled=0):
        run = soak.Soak("run_for")
        run.recoveries, run.lost, run.doubled = recoveries, lost, doubled
        return run.broken_bars()

    def test_quick_recoveries_that_lose_nothing_pass(self):
        self.assertEqual(self.broken([2.0] * 100), [])
        self.assertEqual(self.broken([2.0] * 95 + [16.0] * 4 + [19.0]), ["recovery: 16.0 s at p95, expected at most 15 s"])
        self.assertEqual(self.broken([2.0] * 96 + [16.0] * 4), [])

    def test_one_of_a_hundred_may_not_take_longer_than_20_seconds(self):
        self.assertEqual(self.broken([2.0] * 99 + [21.0]), ["recovery: 21.0 s at p99, expected at most 20 s"])
        self.assertEqual(self.broken([2.0] * 199 + [21.0]), [])

    def test_a_step_that_is_lost_or_doubled_is_one_too_many(self):
        for lost, doubled in ((1, 0), (0, 1)):
            self.assertEqual(self.broken([2.0], lost, doubled),
                             [f"steps of alpha lost {lost}, doubled {doubled}, expected 0 of both"])

    def test_a_run_in_which_nothing_befell_a_job_shows_nothing(self):
        self.assertEqual(self.broken([]), ["no fault has befallen a job that went on"])


if __name__ == "__main__":
    unittest.main()
