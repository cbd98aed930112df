/** A certificate with its key, PEM. */
export interface TestCertificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/**
 * For `*.sbx.test`, `*.localhost`, `localhost` and 127.0.0.1, signed by itself and good until 2126. Its key is no
 * secret: nothing but tests may trust it.
 */
export const testCertificate: TestCertificate = {
  cert: Buffer.from(`-----BEGIN CERTIFICATE-----
MIIBwDCCAWagAwIBAgIUdPmOd32rxJHYPnY16ZM0+BqzvhIwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOTGFyZGVyJ3MgdGVzdHMwIBcNMjYxMTI1MTMwODIyWhgPMjEy
NjExMDExMzA4MjJaMBkxFzAVBgNVBAMMDkxhcmRlcidzIHRlc3RzMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAE1kTA484SL07QTwdrHdoM8INVAet+sZwRsIL30kf1
P0sWlujNLQyxyQgPn1MQMwt1ap2S9RfS0p1Rhz4N1n6gc6OBiTCBhjAdBgNVHQ4E
FgQU/MLEBOu9P0lCHQm7ZycvPG4CYYIwHwYDVR0jBBgwFoAU/MLEBOu9P0lCHQm7
ZycvPG4CYYIwDwYDVR0TAQH/BAUwAwEB/zAzBgNVHREELDAqggoqLnNieC50ZXN0
gglsb2NhbGhvc3SCCyoubG9jYWxob3N0hwR/AAABMAoGCCqGSM49BAMCA0gAMEUC
IGnE3cHB5rUFdoCI26lvUrN4dEOtIkIV6a8Ma8GQNitNAiEAsC26OIpxLHVNCfEX
POG1QzkCmGNgGYOH8bbtb54kLzY=
-----END CERTIFICATE-----
`),
  key: Buffer.from(`-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgq40nuGETftRZeDa9
0R4/jAq+4Mv5OlhlGtv2/UKJK8uhRANCAATWRMDjzhIvTtBPB2sd2gzwg1UB636x
nBGwgvfSR/U/SxaW6M0tDLHJCA+fUxAzC3VqnZL1F9LSnVGHPg3WfqBz
-----END PRIVATE KEY-----
`),
};

/** The same for the same names, made anew. */
export const otherCertificate: TestCertificate = {
  cert: Buffer.from(`-----BEGIN CERTIFICATE-----
MIIBwDCCAWagAwIBAgIUGIemhGWWD5rcpDBMdmXkc/9Pl/cwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOTGFyZGVyJ3MgdGVzdHMwIBcNMjYxMTI1MTMwODIyWhgPMjEy
NjExMDExMzA4MjJaMBkxFzAVBgNVBAMMDkxhcmRlcidzIHRlc3RzMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEPTuJ7AGcKR22uXdD+GMpCFkgQuI+ZUi5hoyYWXmv
JpCEWsJz7Psi3M7oG1kVzALd0if9REZnVWwoQRuDpcAqiqOBiTCBhjAdBgNVHQ4E
FgQUrTHWmM5jr51T/0dauDt1kci1LN0wHwYDVR0jBBgwFoAUrTHWmM5jr51T/0da
uDt1kci1LN0wDwYDVR0TAQH/BAUwAwEB/zAzBgNVHREELDAqggoqLnNieC50ZXN0
gglsb2NhbGhvc3SCCyoubG9jYWxob3N0hwR/AAABMAoGCCqGSM49BAMCA0gAMEUC
IQCToDwIotdeN4TMeJoHCn0BcZV1j9ZDSSWn0+0V7egMmQIgShLQcnRezXXtrAd3
9nbF5/heBb57cNL8eEku8irWoBE=
-----END CERTIFICATE-----
`),
  key: Buffer.from(`-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggdRAHk0IrZmU/1X+
NEB+ig3Nc4UuTBQeGiLS+dYqVj+hRANCAAQ9O4nsAZwpHba5d0P4YykIWSBC4j5l
SLmGjJhZea8mkIRawnPs+yLczugbWRXMAt3SJ/1ERmdVbChBG4OlwCqK
-----END PRIVATE KEY-----
`),
};
