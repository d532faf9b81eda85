"""Queries that answer what people ask first: `longdance sql NAME` runs one; docs and bench read them from here."""

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
FROM clips
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
FROM sources LEFT JOIN clips USING (source_id, path)
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
       npy_offset, npy_length, mask_offset, mask_length, hands_offset, hands_length,
       flac_offset, flac_length
FROM samples JOIN clips USING (clip_id)
WHERE shard = (SELECT min(shard) FROM shards)
ORDER BY mp4_offset
""",
        "Where each sample of a shard lies, for a reader of byte ranges",
    ),
    "on-the-beat": (
        """
SELECT round(beat_alignment, 2) AS alignment, round(tempo) AS beats_a_minute, verdict,
       round(start_s, 1) AS start_s, round(end_s, 1) AS end_s, path
FROM clips
WHERE sound
ORDER BY beat_alignment DESC NULLS LAST, clip_id
LIMIT 20
""",
        "The clips whose dance meets its music best",
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
    "worst-loss": (
        """
WITH worst AS (
    FROM worth WHERE evidence = (
        SELECT policy ->> '$.evidence[0]' FROM versions WHERE (policy ->> '$.evidence[0]') IS NOT NULL
        ORDER BY created DESC, version LIMIT 1)
    ORDER BY unlearnable DESC NULLS LAST, high_loss DESC, sample_key LIMIT 20
)
SELECT sample_key, stage, round(high_loss, 2) AS high_loss, round(rho, 2) AS rho,
       round(unlearnable, 2) AS unlearnable, certainty, verdict, reasons, round(motion_energy, 2) AS motion, path
FROM worst JOIN samples USING (sample_key) JOIN clips USING (clip_id)
ORDER BY unlearnable DESC NULLS LAST, high_loss DESC, sample_key
""",
        "The 20 worst clips of the last prune, and what speaks against them",
    ),
    "motion-lost": (
        """
SELECT version, parent, samples, clips, round(motion, 2) AS motion, round(100 * motion_lost, 2) AS motion_lost_percent
FROM version_contents
WHERE version IS NOT NULL
ORDER BY version
""",
        "Motion (joint speed times frames) that each version is missing of its parent, or of all good clips",
    ),
    "prunes-shared": (
        """
WITH gone AS (
    SELECT v.version, s.sample_key
    FROM (SELECT version FROM versions WHERE (policy -> '$.config') IS NOT NULL) v, samples s JOIN clips USING (clip_id)
    WHERE verdict = 'ok' AND (v.version, s.sample_key) NOT IN (SELECT (version, sample_key) FROM version_samples)
)
SELECT a.version, b.version AS other, count(*) AS both_lack
FROM gone a JOIN gone b ON a.sample_key = b.sample_key AND a.version < b.version
GROUP BY ALL
ORDER BY ALL
""",
        "What two stages' prunes share",
    ),
    "loss-by-source": (
        """
SELECT path, stage, left(run, 8) AS run, left(checkpoint, 8) AS checkpoint, bank, count(*) AS losses,
       round(avg(loss), 4) AS loss, round(stddev(loss), 4) AS spread
FROM losses JOIN samples USING (sample_key) JOIN clips USING (clip_id)
GROUP BY source_id, path, stage, losses.run, losses.checkpoint, bank
ORDER BY loss DESC, path, run, checkpoint, bank
LIMIT 50
""",
        "Loss by source, of each run, checkpoint and bank by itself",
    ),
    "loss-against-camera": (
        """
WITH placed AS (
    SELECT sample_key, cam_translation, ntile(10) OVER (ORDER BY cam_translation) AS tenth
    FROM samples JOIN clips USING (clip_id)
    WHERE cam_translation IS NOT NULL
)
SELECT stage, left(run, 8) AS run, left(checkpoint, 8) AS checkpoint, bank, tenth,
       round(min(cam_translation), 2) AS from_px, round(max(cam_translation), 2) AS to_px,
       count(*) AS losses, round(avg(loss), 4) AS loss
FROM placed JOIN losses USING (sample_key)
GROUP BY ALL
ORDER BY ALL
""",
        "Loss against camera motion, by tenths",
    ),
}


def named_query(query: str) -> str:
    """The SQL of an example's name; any other query as it is."""
    return EXAMPLES[query][0] if query in EXAMPLES else query
