"""Loops keep their vectors in registers: in the product as the package compiles it, here and elsewhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from numba import types

from bench.machine_code.listing import Loop, functions, loops
from fastbp.engines.compiler import njit
from fastbp.engines.cpu.simd import ARM
from fastbp.engines.cpu.tile import TILE_ROWS, product, product_types

BENCH = Path(__file__).resolve().parent.parent / "bench"

X86 = """\
	.text
_ZN4loop:
	pushq	%rbp
	vmovups	%ymm3, 32(%rsp)
	xorl	%eax, %eax
.LBB0_1:
	movq	%rax, %rcx
	vmovups	%zmm9, -64(%rsp)          # 64-byte Spill
	.p2align	4, 0x90
.LBB0_2:                                # Inner Loop Header
	vmovups	(%rsi,%rcx,4), %ymm0
	vbroadcastss	8(%rsp), %ymm1
	vfmadd231ps	(%rbp), %ymm1, %ymm2
	vaddps	32(%rsp), %ymm2, %ymm2
	vmovups	%ymm2, 64(%rsp)
	vmovss	%xmm2, 4(%rsp)
	vmulps	4(%rsp){1to8}, %ymm0, %ymm0
	movq	16(%rsp), %rdx
	testq	%rdx, %rdx
	je	.LBB0_5
.LBB0_3:
	decq	%rcx
	jne	.LBB0_2
	decq	%rax
	jne	.LBB0_1
	retq
.LBB0_5:
	vmovapd	%xmm4, 96(%rsp)
	jmp	.LBB0_3
"""

ARM_LISTING = """\
__ZN4loop:                              ; @loop
	stp	d9, d8, [sp, #-64]!
	add	x29, sp, #48
LBB0_1:
	ldr	q0, [x1], #16
	ld1r	{ v1.4s }, [x2]
	fmla	v2.4s, v0.4s, v1.4s
	fmla	v3.4s, v0.4s, v1.s[0]
	str	q2, [sp, #16]                   ; 16-byte Folded Spill
	ldp	q4, q5, [x29, #-64]
	ldr	d6, [sp, #8]
	str	x9, [sp]
	subs	x0, x0, #1
	b.ne	LBB0_1
	ret
"""


def test_a_block_behind_the_function_is_part_of_its_loop():
    """Two loops, one in the other; one block of the inner one stands behind the return."""
    (function,) = functions(X86)
    inner, outer = sorted(loops(function, is_arm=False), reverse=True)
    assert inner == Loop(is_hot=True, instructions=14, fused=1, computing=3, stores=2, reads=1)
    assert outer == Loop(is_hot=False, instructions=4, fused=0, computing=0, stores=1, reads=0)


def test_a_frame_pointer_points_to_the_stack():
    (function,) = functions(X86.replace("pushq	%rbp", "movq	%rsp, %rbp"))
    assert max(loops(function, is_arm=False)).reads == 2


def test_a_loop_that_calls_is_not_hot():
    (function,) = functions(X86.replace("decq	%rcx", "callq	*%rcx"))
    assert not any(loop.is_hot for loop in loops(function, is_arm=False))


def test_a_table_of_jumps_leads_back_into_the_loop():
    listing = X86.replace("jmp	.LBB0_3", "jmpq	*%rdx") + ".LJTI0_0:\n	.quad	.LBB0_3\n"
    (function,) = functions(listing)
    assert max(loops(function, is_arm=False)).stores == 2


def test_what_arm_moves_to_the_stack():
    (function,) = functions(ARM_LISTING)
    assert loops(function, is_arm=True) == [
        Loop(is_hot=True, instructions=10, fused=2, computing=2, stores=1, reads=1)
    ]


def test_arm_as_apple_writes_it():
    """With the arrangement behind the operation."""
    (function,) = functions(ARM_LISTING.replace("fmla	v2.4s, v0.4s, v1.4s", "fmla.4s	v2, v0, v1"))
    assert [(loop.fused, loop.computing, loop.moves) for loop in loops(function, is_arm=True)] == [(2, 2, 2)]


def assert_held_in_registers(found: list[Loop], rows: int) -> None:
    """One loop for each height and width of a tile, none of which is unrolled or spills."""
    assert sorted(loop.fused for loop in found) == sorted([*range(1, rows + 1), *range(2, 2 * rows + 1, 2)])
    assert not any(loop.moves for loop in found)


@pytest.mark.parametrize("dtype", [types.float32, types.float64], ids=str)
def test_the_product_keeps_its_sums_in_registers_on_this_machine(dtype):
    compiled = njit(product.py_func, nogil=True)
    compiled.compile(product_types(dtype))
    (result,) = compiled.overloads.values()
    listing = functions(result.library.get_asm_str())
    found = [loop for function in listing for loop in loops(function, ARM)]
    assert_held_in_registers(found, TILE_ROWS)


@pytest.mark.parametrize("target, rows", [("haswell", 5), ("znver4", 10), ("apple-m1", 10)])
def test_the_product_keeps_its_sums_in_registers_elsewhere(target, rows):
    done = subprocess.run(
        [sys.executable, "-m", "machine_code.compile", target, "product"],
        cwd=BENCH,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kernels = [json.loads(line) for line in done.stdout.splitlines()]
    assert [kernel["dtype"] for kernel in kernels] == ["float32", "float64"]
    for kernel in kernels:
        assert_held_in_registers([Loop(*loop) for loop in kernel["loops"]], rows)
