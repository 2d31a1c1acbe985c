"""From anomaly events to incidents: group, localise, name suspects, classify, recommend.

Reading is SQL (files under ``sql/``); deciding is plain Python over episodes in order of detection, so that
the incidents depend on event time alone, never on when correlation was run.
"""
