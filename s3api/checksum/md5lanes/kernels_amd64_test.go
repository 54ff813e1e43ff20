package md5lanes

import "golang.org/x/sys/cpu"

// kernels are all kernels that this processor has.
func kernels() map[string]kernel {
	all := map[string]kernel{}
	if cpu.X86.HasAVX2 {
		all["avx2"] = kernel{blocksAVX2, 2}
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL {
		all["avx512"] = kernel{blocksAVX512, 1}
	}
	return all
}
