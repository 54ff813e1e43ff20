package checksum

import (
	"hash"
	"sync"
)

// A pipe holds up to pipeDepth blocks of pipeBlock bytes: 256 KiB for each large
// body on its way.
const (
	pipeBlock = 64 << 10
	pipeDepth = 4
)

// blocks are idle blocks of pipes.
var blocks = sync.Pool{New: func() any { return new([pipeBlock]byte) }}

type block struct {
	data *[pipeBlock]byte
	n    int
}

// md5Pipe computes an MD5 in a goroutine that lives from newMD5Pipe to sum or
// stop. The writer owns cur; the channels carry everything else.
type md5Pipe struct {
	cur    block
	full   chan block // closed by the writer at the end
	result chan []byte
	ended  bool // full is closed
}

func newMD5Pipe() *md5Pipe {
	p := &md5Pipe{full: make(chan block, pipeDepth-2), result: make(chan []byte, 1)}
	go p.run()
	return p
}

func (p *md5Pipe) run() {
	h := md5s.Get().(hash.Hash)
	h.Reset()
	for b := range p.full {
		h.Write(b.data[:b.n])
		blocks.Put(b.data)
	}
	p.result <- h.Sum(nil)
	md5s.Put(h)
}

func (p *md5Pipe) write(b []byte) {
	for len(b) > 0 {
		if p.cur.data == nil {
			p.cur = block{data: blocks.Get().(*[pipeBlock]byte)}
		}
		n := copy(p.cur.data[p.cur.n:], b)
		p.cur.n += n
		b = b[n:]
		if p.cur.n == pipeBlock {
			p.flush()
		}
	}
}

func (p *md5Pipe) flush() {
	if p.cur.data != nil {
		p.full <- p.cur
		p.cur = block{}
	}
}

// sum ends the pipe and returns the digest.
func (p *md5Pipe) sum() []byte {
	p.flush()
	p.ended = true
	close(p.full)
	return <-p.result
}

// stop ends the pipe where sum did not. The goroutine finishes by itself.
func (p *md5Pipe) stop() {
	if p.cur.data != nil {
		blocks.Put(p.cur.data)
		p.cur = block{}
	}
	if !p.ended {
		p.ended = true
		close(p.full)
	}
}
