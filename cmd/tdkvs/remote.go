package main

import (
	"errors"
	"log/slog"

	"tdkvs/master"
	"tdkvs/volume"
	"tdkvs/volume/volumehttp"
)

// remoteVolume returns a volume process as the engine takes it, and the client
// beneath, which is the caller's to close. Once the engine knows which volume it
// has there, every request names it, so that a process with another volume at
// the same address refuses.
func remoteVolume(url, secret string, memory budgets) (master.Volume, *volumehttp.Client, error) {
	client, err := volumehttp.NewClient(volumehttp.Config{URL: url, Secret: secret, WriteBudget: memory.write, ReadBudget: memory.read})
	if err != nil {
		return master.Volume{}, nil, err
	}
	return master.Volume{
		Name:      url,
		Blobs:     client,
		ForVolume: func(uuid string) master.Blobs { return client.ForVolume(uuid) },
	}, client, nil
}

// checkAnswers looks at what the volumes of an engine that has just opened say.
// One that is down is waited for while the others serve; one that refuses the
// secret will not change its mind, so that is a failed start.
func checkAnswers(health master.Health, log *slog.Logger) error {
	var refusals []error
	for _, v := range health.Volumes {
		switch {
		case v.Err == nil:
		case errors.Is(v.Err, volume.ErrDenied):
			refusals = append(refusals, v.Err)
		default:
			log.Warn("a volume can not be reached: what lies on it is unavailable until it is back", "volume", v.Name, "error", v.Err)
		}
	}
	return errors.Join(refusals...)
}
