// Command gen writes the assembly of package md5lanes: the block function of MD5
// (RFC 1321) for eight streams at a time, once with the instructions of AVX2 and
// once with those of AVX-512VL, which rotates, and computes any function of three
// bits, in one instruction.
package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
)

// The registers. a, b, c and d of RFC 1321 are in Y0 to Y3 and change places with
// each step, 32 bits of each for each lane. The others are scratch.
const (
	state  = "AX" // *[4][8]uint32
	lanes  = "BX" // *[8]*byte, until the pointers are loaded
	blocks = "CX" // how many are left
	off    = "DX" // of the block in all lanes
	consts = "SI" // the table of constants
)

// pointer holds the addresses of the lanes.
var pointer = [8]string{"DI", "R8", "R9", "R10", "R11", "R12", "R13", "R15"}

// shifts are the rotations of a round's steps, which repeat. Source: RFC 1321, 3.4.
var shifts = [4][4]int{{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}

// word is the word of the block that a step of a round takes.
func word(round, step int) int {
	switch round {
	case 0:
		return step
	case 1:
		return (5*step + 1) % 16
	case 2:
		return (3*step + 5) % 16
	default:
		return 7 * step % 16
	}
}

// program is assembly that is being written.
type program struct{ bytes.Buffer }

func (p *program) line(format string, args ...any) {
	_, _ = fmt.Fprintf(p, format+"\n", args...) // never fails
}

// op writes an instruction. The operands are in the order of Go: the result last.
func (p *program) op(name string, operands ...string) {
	p.line("\t%s %s", name, strings.Join(operands, ", "))
}

func y(n int) string { return fmt.Sprintf("Y%d", n) }
func x(n int) string { return fmt.Sprintf("X%d", n) }

// wordAt is where a word of the block, of all lanes, lies on the stack.
func wordAt(n int) string { return fmt.Sprintf("w%d-%d(SP)", n, 512-32*n) }

// transpose gathers the block of each lane, so that each vector holds one word of
// all of them. Four words are taken at a time; the low half of a vector is of
// lanes 0 to 3 and the high half of 4 to 7, so no word crosses from one to the other.
func (p *program) transpose() {
	for quarter := range 4 {
		p.line("\t// words %d to %d", 4*quarter, 4*quarter+3)
		const row = 4 // rows in Y4 to Y7, pairs of them in Y8 to Y11, words in Y4 to Y7
		at := func(lane int) string { return fmt.Sprintf("%d(%s)(%s*1)", 16*quarter, pointer[lane], off) }
		for lane := range 4 {
			p.op("VMOVDQU", at(lane), x(row+lane))
		}
		for lane := range 4 {
			p.op("VINSERTI128", "$1", at(lane+4), y(row+lane), y(row+lane))
		}
		p.op("VPUNPCKLDQ", y(5), y(4), y(8))
		p.op("VPUNPCKHDQ", y(5), y(4), y(9))
		p.op("VPUNPCKLDQ", y(7), y(6), y(10))
		p.op("VPUNPCKHDQ", y(7), y(6), y(11))
		p.op("VPUNPCKLQDQ", y(10), y(8), y(4))
		p.op("VPUNPCKHQDQ", y(10), y(8), y(5))
		p.op("VPUNPCKLQDQ", y(11), y(9), y(6))
		p.op("VPUNPCKHQDQ", y(11), y(9), y(7))
		for n := range 4 {
			p.op("VMOVDQU", y(4+n), wordAt(4*quarter+n))
		}
	}
}

// dialect is how a set of instructions says the two things that differ.
type dialect struct {
	name string
	// mix puts a round's function of b, c and d into Y4, or adds it to Y5 in part; it
	// may use Y6. The fewer instructions wait for b, which the step before has just
	// made, the better.
	mix func(p *program, round int, b, c, d string)
	// rotate rotates v to the left by n bits; it may use Y6.
	rotate func(p *program, v string, n int)
}

var avx2 = dialect{
	name: "AVX2",
	mix: func(p *program, round int, b, c, d string) {
		switch round {
		case 0: // (b and c) or (not b and d), as ((c xor d) and b) xor d
			p.op("VPXOR", c, d, "Y4")
			p.op("VPAND", b, "Y4", "Y4")
			p.op("VPXOR", d, "Y4", "Y4")
		case 1: // (b and d) or (c and not d): never both, so their sum does
			p.op("VPANDN", c, d, "Y6")
			p.op("VPADDD", "Y6", "Y5", "Y5")
			p.op("VPAND", b, d, "Y4")
		case 2: // b xor c xor d
			p.op("VPXOR", c, d, "Y4")
			p.op("VPXOR", b, "Y4", "Y4")
		default: // c xor (b or not d)
			p.op("VPXOR", "Y15", d, "Y4") // Y15 is all ones
			p.op("VPOR", b, "Y4", "Y4")
			p.op("VPXOR", c, "Y4", "Y4")
		}
	},
	rotate: func(p *program, v string, n int) {
		p.op("VPSLLD", fmt.Sprintf("$%d", n), v, "Y6")
		p.op("VPSRLD", fmt.Sprintf("$%d", 32-n), v, v)
		p.op("VPOR", "Y6", v, v)
	},
}

var avx512 = dialect{
	name: "AVX512",
	mix: func(p *program, round int, b, c, d string) {
		// The tables of the functions, of d, c and b, the last bit first: that of
		// round 0 is c where b is 1, else d.
		tables := [4]string{"$0xD8", "$0xAC", "$0x96", "$0x63"}
		p.op("VMOVDQA", d, "Y4")
		p.op("VPTERNLOGD", tables[round], b, c, "Y4")
	},
	rotate: func(p *program, v string, n int) { p.op("VPROLD", fmt.Sprintf("$%d", n), v, v) },
}

// rounds are the 64 steps: a = b + rotate(a + f(b, c, d) + word + constant), and the
// four change places.
func (p *program) rounds(in dialect) {
	for round := range 4 {
		p.line("\t// round %d", round+1)
		for step := range 16 {
			n := 16*round + step
			a, b, c, d := y(-n&3), y((1-n)&3), y((2-n)&3), y((3-n)&3)
			p.op("VPBROADCASTD", fmt.Sprintf("%d(%s)", 4*n, consts), "Y5")
			p.op("VPADDD", wordAt(word(round, step)), "Y5", "Y5")
			in.mix(p, round, b, c, d)
			p.op("VPADDD", "Y5", a, a)
			p.op("VPADDD", "Y4", a, a)
			in.rotate(p, a, shifts[round][step%4])
			p.op("VPADDD", b, a, a)
		}
	}
}

// function writes the block function of one set of instructions.
func (p *program) function(in dialect) {
	name := "blocks" + in.name
	p.line("\n// func %s(state *vectors, lanes *[Lanes]*byte, blocks int)", name)
	p.line("TEXT ·%s(SB), NOSPLIT, $512-24", name)
	p.op("MOVQ", "state+0(FP)", state)
	p.op("MOVQ", "lanes+8(FP)", lanes)
	p.op("MOVQ", "blocks+16(FP)", blocks)
	p.op("LEAQ", "constants<>(SB)", consts)
	for lane, reg := range pointer {
		p.op("MOVQ", fmt.Sprintf("%d(%s)", 8*lane, lanes), reg)
	}
	p.op("XORQ", off, off)
	p.op("VPCMPEQD", "Y15", "Y15", "Y15")
	for i := range 4 {
		p.op("VMOVDQU", fmt.Sprintf("%d(%s)", 32*i, state), y(i))
	}
	p.line("\nnext:")
	p.op("TESTQ", blocks, blocks)
	p.op("JLE", "done")
	p.transpose()
	p.rounds(in)
	p.line("\t// what the block has made is added to what was before")
	for i := range 4 {
		p.op("VPADDD", fmt.Sprintf("%d(%s)", 32*i, state), y(i), y(i))
		p.op("VMOVDQU", y(i), fmt.Sprintf("%d(%s)", 32*i, state))
	}
	p.op("ADDQ", "$64", off)
	p.op("DECQ", blocks)
	p.op("JMP", "next")
	p.line("\ndone:")
	p.line("\tVZEROUPPER")
	p.line("\tRET")
}

// assembly is the whole file.
func assembly() []byte {
	p := new(program)
	p.line("// Code generated by gen; DO NOT EDIT.\n")
	p.line("#include \"textflag.h\"\n")
	p.line("// The integer parts of 2^32 times the sines of 1 to 64.")
	for n := range 64 {
		p.line("DATA constants<>+%#02x(SB)/4, $%#08x", 4*n, uint32(math.Floor(math.Ldexp(math.Abs(math.Sin(float64(n+1))), 32))))
	}
	p.line("GLOBL constants<>(SB), RODATA|NOPTR, $256")
	p.function(avx2)
	p.function(avx512)
	return p.Bytes()
}

const output = "blocks_amd64.s"

func main() {
	if err := os.WriteFile(output, assembly(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
