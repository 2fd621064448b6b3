package bench

import (
	"context"

	"github.com/msgserver/msgserver/bench/result"
	"github.com/msgserver/msgserver/codec"
)

var receiptsKind = kind{
	Description: Description{
		Name:   "receipts",
		Models: "pairs as in direct whose receivers confirm what they get, and whose senders hear of it. As clients do, a receiver has one confirmation under way and then confirms all that came meanwhile",
		Omits:  "read receipts, which cost the same, and groups",
		Sync:   "from the arrival of a message until its sender has the receipt",
	},
	defaults: result.Spec{Users: 100, Rate: 1000},
	begins:   kindAck,
	build:    func(r *run) scenario { return &receiptPairs{direct{messages{run: r}}} },
}

// receiptPairs is pairs that confirm.
type receiptPairs struct{ direct }

func (p *receiptPairs) prepare(ctx context.Context) error {
	if err := p.direct.prepare(ctx); err != nil {
		return err
	}
	for _, f := range p.flows {
		f.wantReceipts()
		receiver := f.readers[0] // the first device confirms
		receiver.heard = func(m *codec.MessageBody) { receiver.confirm(m) }
	}
	return nil
}
