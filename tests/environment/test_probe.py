from recsys.environment.probe import run_probe


def test_a_crash_names_the_stage_and_keeps_what_was_learnt():
    script = 'print("noise"); print(\'{"stage": "torch", "devices": []}\', flush=True); import os; os.abort()'
    probe = run_probe(script=script)
    assert probe.stages == {"torch": {"devices": []}}
    assert probe.failed_stage == "fbgemm_gpu"
    assert probe.failure == "no message (exit code -6)"


def test_an_exception_is_told_by_its_last_line():
    probe = run_probe(script='raise OSError("libfbgemm.so: undefined symbol: _ZN3c10")')
    assert probe.failed_stage == "torch"
    assert probe.failure == "OSError: libfbgemm.so: undefined symbol: _ZN3c10 (exit code 1)"


def test_a_library_that_is_absent_is_named_though_the_last_line_names_the_one_that_wants_it():
    script = 'import ctypes\ntry: ctypes.CDLL("libabsent.so.1")\nexcept OSError as e: raise OSError("wants it") from e'
    assert run_probe(script=script).failure.startswith("OSError: libabsent.so.1: cannot open shared object file")


def test_a_process_that_hangs_is_given_up():
    probe = run_probe(script='print(\'{"stage": "torch"}\', flush=True); import time; time.sleep(60)', timeout_s=0.5)
    assert probe.failure == "no answer within 0 s"
    assert probe.failed_stage == "fbgemm_gpu"
