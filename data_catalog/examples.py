"""Five queries that answer what people ask first. README, report and bench read them from here."""

# name -> (sql, what it answers)
EXAMPLES: dict[str, tuple[str, str]] = {
    "verdicts": (
        """
SELECT verdict, reason, count(*) AS clips, round(sum(end_s - start_s) / 60, 1) AS minutes
FROM clips
GROUP BY ALL
ORDER BY verdict DESC, clips DESC
""",
        "How much is good, and why the rest is not",
    ),
    "worst-camera": (
        """
SELECT round(cam_translation, 2) AS px_per_frame, verdict, reasons,
       round(start_s, 1) AS start_s, round(end_s, 1) AS end_s, path
FROM clips JOIN sources USING (source_id)
ORDER BY cam_translation DESC NULLS LAST, clip_id
LIMIT 20
""",
        "The clips whose camera moves most, and where to look at them",
    ),
    "hours-per-source": (
        """
SELECT path, count(clip_id) AS clips,
       count(*) FILTER (verdict = 'ok') AS ok,
       round(coalesce(sum(end_s - start_s) FILTER (verdict = 'ok'), 0) / 3600, 4) AS ok_hours,
       round(any_value(duration_s) / 3600, 4) AS hours
FROM sources LEFT JOIN clips USING (source_id)
WHERE status = 'ok'
GROUP BY source_id, path
ORDER BY ok_hours DESC, path
LIMIT 50
""",
        "Hours of good footage by source",
    ),
    "shard-offsets": (
        """
SELECT sample_key, variant, verdict, mp4_offset, mp4_length, json_offset, json_length,
       npy_offset, npy_length
FROM samples JOIN clips USING (clip_id)
WHERE shard = (SELECT min(shard) FROM shards)
ORDER BY mp4_offset
""",
        "Where each sample of a shard lies, for a reader of byte ranges",
    ),
    "near-duplicates": (
        """
-- Hashes at most 3 bits apart agree in one of 4 bands of 16 bits: compare only within equal bands.
WITH hashes AS (
    SELECT phash, source_id, min(clip_id) AS clip_id
    FROM clips WHERE verdict = 'ok' AND phash IS NOT NULL
    GROUP BY phash, source_id
), bands AS (
    SELECT *, unnest(range(4)) AS band, (phash >> (band * 16)::UBIGINT) & 65535 AS bits FROM hashes
)
SELECT DISTINCT a.clip_id, b.clip_id AS near_clip_id, bit_count(xor(a.phash, b.phash)) AS bits_apart,
       a.source_id, b.source_id AS near_source_id
FROM bands a JOIN bands b ON a.band = b.band AND a.bits = b.bits AND a.source_id < b.source_id
WHERE bit_count(xor(a.phash, b.phash)) <= 3
ORDER BY bits_apart, a.clip_id, b.clip_id
LIMIT 50
""",
        "Clips of different sources that show the same",
    ),
}
