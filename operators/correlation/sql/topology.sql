-- what runs on what
SELECT src, dst FROM topology_edges FINAL ORDER BY src, dst
