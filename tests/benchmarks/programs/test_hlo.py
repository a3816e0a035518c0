"""The parser and the counts, on small texts written for these tests."""

import pytest

from benchmarks.programs import hlo
from benchmarks.programs.account import Account, count

# A variable of 1,024 numbers. A fusion sums the halves of its gradient, and an update returns the
# weight and the momentum. One number is copied.
UPDATE = """\
HloModule jit_update, is_scheduled=true, input_output_alias={ {0}: (0, {}, must-alias) }

FileNames
1 "a/file (with parentheses).py"

%sum.1 (a.1: f32[], b.1: f32[]) -> f32[] {
  %a.1 = f32[] parameter(0)
  %b.1 = f32[] parameter(1)
  ROOT %add.9 = f32[] add(%a.1, %b.1)
}

%halves (p.1: f32[2,1024]) -> f32[1024] {
  %p.1 = f32[2,1024]{1,0} parameter(0)
  %zero = f32[] constant(0)
  ROOT %reduce.1 = f32[1024]{0} reduce(%p.1, %zero), dimensions={0}, to_apply=%sum.1, metadata={op_name="jit(update)/transpose(jvp(dense))/reduce_sum"}
}

%fused (p.2: f32[1024], p.3: f32[1024], p.4: f32[1024]) -> (f32[1024], f32[1024]) {
  %p.2 = f32[1024]{0} parameter(0)
  %p.3 = f32[1024]{0} parameter(1)
  %p.4 = f32[1024]{0} parameter(2)
  %new = f32[1024]{0} add(%p.3, %p.4), metadata={op_name="jit(update)/the_update/add" stack_frame_id=3}
  %sub = f32[1024]{0} subtract(%p.2, %new), metadata={op_name="jit(update)/the_update/sub"}
  ROOT %tuple.1 = (f32[1024]{0}, /*index=1*/f32[1024]{0}) tuple(%sub, %new)
}

ENTRY %main.1 (w: f32[1024], m: f32[1024], g: f32[2,1024], t: s32[]) -> (f32[1024], f32[1024], s32[]) {
  %w = f32[1024]{0:T(1024)} parameter(0), sharding={replicated}, metadata={op_name="w[0]"}
  %m = f32[1024]{0} parameter(1)
  %g = f32[2,1024]{1,0} parameter(2)
  %t = s32[] parameter(3)
  %copy.1 = s32[] copy(%t), control-predecessors={%w}
  %gradient = f32[1024]{0} fusion(%g), kind=kInput, calls=%halves, metadata={op_name="jit(update)/transpose(jvp(dense))/reduce_sum"}
  %both = (f32[1024]{0}, f32[1024]{0}) fusion(%w, %m, %gradient), kind=kLoop, calls=%fused, metadata={op_name="jit(update)/the_update/sub"}, backend_config={"called_computations=":"(%w"}
  %new_w = f32[1024]{0} get-tuple-element(%both), index=0
  %new_m = f32[1024]{0} get-tuple-element(%both), index=1
  ROOT %results = (f32[1024]{0}, f32[1024]{0}, s32[]) tuple(%new_w, %new_m, %copy.1)
}
"""  # noqa: E501

COLLECTIVES = """\
HloModule jit_step

%sum.1 (a.1: f32[], b.1: f32[]) -> f32[] {
  %a.1 = f32[] parameter(0)
  %b.1 = f32[] parameter(1)
  ROOT %add.9 = f32[] add(%a.1, %b.1)
}

ENTRY %main (g: f32[80], s: f32[10]) -> f32[80] {
  %g = f32[80]{0} parameter(0)
  %s = f32[10]{0} parameter(1)
  %reduce-start = f32[80]{0} all-reduce-start(%g), replica_groups=[1,8]<=[8], to_apply=%sum.1
  %reduced = f32[80]{0} all-reduce-done(%reduce-start)
  %shard = f32[10]{0} reduce-scatter(%reduced), dimensions={0}, to_apply=%sum.1
  %gather-start = (f32[10]{0}, f32[80]{0}) all-gather-start(%shard), dimensions={0}
  ROOT %gathered = f32[80]{0} all-gather-done(%gather-start)
}
"""

CONTROL = """\
HloModule jit_step

%body (state.1: (s32[], bf16[64])) -> (s32[], bf16[64]) {
  %state.1 = (s32[], bf16[64]{0}) parameter(0)
  %i = s32[] get-tuple-element(%state.1), index=0
  %x = bf16[64]{0} get-tuple-element(%state.1), index=1
  %next = s32[] add(%i, %i)
  %gemm = bf16[64]{0} custom-call(%x, %x), custom_call_target="__cublas$gemm"
  ROOT %state.2 = (s32[], bf16[64]{0}) tuple(%next, %gemm)
}

%condition (state.3: (s32[], bf16[64])) -> pred[] {
  %state.3 = (s32[], bf16[64]{0}) parameter(0)
  %j = s32[] get-tuple-element(%state.3), index=0
  ROOT %less = pred[] compare(%j, %j), direction=LT
}

%recorded (y: (s32[], bf16[64])) -> (s32[], bf16[64]) {
  %y = (s32[], bf16[64]{0}) parameter(0)
  ROOT %loop = (s32[], bf16[64]{0}) while(%y), condition=%condition, body=%body
}

ENTRY main (z: (s32[], bf16[64])) -> (s32[], bf16[64]) {
  z = (s32[], bf16[64]{0}) parameter(0)
  ROOT call = (s32[], bf16[64]{0}) call(z), to_apply=%recorded
}
"""


def test_an_update_is_counted():
    assert count(hlo.parse(UPDATE), "the_update") == Account(
        kernels=2,
        kernels_of_update=1,
        update_bytes=5 * 4096,  # the weight, the momentum and the gradient in; two out
        copies=1,
        copied_bytes=4,
        collectives=0,
        collective_bytes=0,
    )


def test_of_another_scope_there_is_nothing():
    counted = count(hlo.parse(UPDATE), "update")  # a part of a name is not the name
    assert (counted.kernels, counted.kernels_of_update, counted.update_bytes) == (2, 0, 0)


def test_collectives_count_once_with_the_whole_array():
    counted = count(hlo.parse(COLLECTIVES), "the_update")
    assert (counted.collectives, counted.collective_bytes) == (3, 3 * 320)
    assert (counted.kernels, counted.copies) == (0, 0)


def test_what_loops_and_calls_run_counts_once():
    counted = count(hlo.parse(CONTROL), "the_update")
    assert counted.kernels == 3  # add, custom-call, compare
    program = hlo.parse(CONTROL)
    assert program.entry == "main"
    assert [i.opcode for _, i in program.scheduled][:2] == ["parameter", "call"]


def test_instructions_are_read_whole():
    both = {i.name: i for i in hlo.parse(UPDATE).computations["main.1"]}["both"]
    assert both.operands == ("w", "m", "gradient")
    assert both.called == ("fused",)
    assert both.op_name == "jit(update)/the_update/sub"
    assert both.bytes == 2 * 4096


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("f32[]", 4),
        ("bf16[3,5]{1,0}", 30),
        ("pred[7]{0}", 7),
        ("s4[3]{0:E(4)}", 2),
        ("f8e4m3fn[16]{0}", 16),
        ("c64[2]{0}", 16),
        ("f32[0,8]{1,0}", 0),
        ("f32[<=10]{0}", 40),
        ("token[]", 0),
        ("(f32[2]{0}, (s32[], u8[3]{0:S(5)}))", 15),
    ],
)
def test_bytes_of_shapes(shape, expected):
    assert hlo.shape_bytes(shape) == expected


@pytest.mark.parametrize("text", ["", "HloModule x", UPDATE[:-3], "not a program at all {\n}\n"])
def test_what_is_no_program_is_refused(text):
    with pytest.raises(ValueError, match="no HLO module"):
        hlo.parse(text)


def test_a_line_of_another_form_is_refused():
    with pytest.raises(ValueError, match="without an opcode: %w = f32"):
        hlo.parse(UPDATE.replace("parameter(0), sharding", "??, sharding"))
