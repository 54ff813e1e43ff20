package md5lanes

import "golang.org/x/sys/cpu"

//go:generate go run ./gen

// blocksAVX2 hashes so many blocks of 64 bytes of each lane into its state. All
// lanes must point to as many readable bytes.
//
//go:noescape
func blocksAVX2(state *vectors, lanes *[Lanes]*byte, blocks int)

// blocksAVX512 is blocksAVX2 with the instructions of AVX-512F and AVX-512VL.
//
//go:noescape
func blocksAVX512(state *vectors, lanes *[Lanes]*byte, blocks int)

// best returns the kernel that suits the processor. A lane of AVX-512 is a tenth
// faster than crypto/md5, one of AVX2 a third slower.
func best() kernel {
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX2:
		return kernel{blocksAVX512, 1}
	case cpu.X86.HasAVX2:
		return kernel{blocksAVX2, 2}
	}
	return kernel{}
}
