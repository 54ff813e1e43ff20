package md5lanes

import "golang.org/x/sys/cpu"

// kernels are all block functions that this processor has.
func kernels() map[string]blockFunc {
	all := map[string]blockFunc{}
	if cpu.X86.HasAVX2 {
		all["avx2"] = blocksAVX2
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL {
		all["avx512"] = blocksAVX512
	}
	return all
}
