from privpipe.kernels._aesgcm import AesGcm
