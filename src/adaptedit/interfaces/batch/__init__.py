"""Many edits: records in, pictures and a manifest out, resumed at will.

`reading` checks the records. `lock` keeps a second batch out of the folder. `run` edits the records here,
in `processes` or by `ray_run`'s workers, and alone writes the `manifest`. `outputs` replaces and
removes only files that the batch wrote, which `claims` knows.
"""
